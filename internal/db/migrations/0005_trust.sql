-- tickets: device codes (RFC 8628), which wait for a person to confirm them
CREATE TABLE device_code (
  hash TEXT PRIMARY KEY, user_hash TEXT NOT NULL UNIQUE, workspace TEXT NOT NULL, purpose TEXT NOT NULL, jwk TEXT NOT NULL, name TEXT NOT NULL, ip TEXT NOT NULL,
  asked TEXT NOT NULL, status TEXT NOT NULL, person TEXT, agent TEXT, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX device_code_expires ON device_code (expires_at);

-- agents: rules by which workloads of other platforms become instances, and the keys that an assertion was presented with
CREATE TABLE trust_rule (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, agent TEXT NOT NULL, issuer TEXT NOT NULL, rule TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX trust_rule_issuer ON trust_rule (issuer);
CREATE INDEX trust_rule_page ON trust_rule (workspace, id);
CREATE TABLE presented (
  assertion TEXT NOT NULL, slot INTEGER NOT NULL, key TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (assertion, slot), UNIQUE (assertion, key)
) STRICT;
CREATE INDEX presented_expires ON presented (expires_at);
