-- clients: apps that registered themselves (RFC 7591), from the workspace that invited them; those whose id is the address of their metadata are not stored
CREATE TABLE app (id TEXT PRIMARY KEY, workspace TEXT NOT NULL, metadata TEXT NOT NULL, created_at INTEGER NOT NULL, consented_at INTEGER) STRICT;
CREATE INDEX app_unused ON app (created_at) WHERE consented_at IS NULL;
-- clients: which apps a workspace allows, and which of them without a key. client is a client_id, an address that ends in /*, or *.
CREATE TABLE client_rule (
  workspace TEXT NOT NULL, client TEXT NOT NULL, allow INTEGER NOT NULL, bearer INTEGER NOT NULL, reason TEXT NOT NULL, made_by TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, client)
) STRICT;
-- clients: the agent that an app became, and what it looked like when the person last consented
CREATE TABLE app_agent (
  workspace TEXT NOT NULL, client TEXT NOT NULL, person TEXT NOT NULL, agent TEXT NOT NULL, seen TEXT NOT NULL, consented_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, client, person)
) STRICT;
CREATE UNIQUE INDEX app_agent_agent ON app_agent (agent);
CREATE INDEX app_agent_person ON app_agent (workspace, person, client);
CREATE INDEX app_agent_client ON app_agent (client, workspace);
--pg ALTER TABLE client_rule ALTER COLUMN client TYPE TEXT COLLATE "C";
--pg ALTER TABLE app_agent ALTER COLUMN client TYPE TEXT COLLATE "C";
