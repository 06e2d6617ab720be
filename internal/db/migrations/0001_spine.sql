-- One text for both engines. INTEGER is 64 bits everywhere (BIGINT on PostgreSQL), BLOB is bytea there, STRICT is SQLite's alone; a line that begins
-- with "--pg " is run on PostgreSQL only. Times are microseconds since 1970. Every table has one owner: the room whose doc.go names it.

-- audit
CREATE TABLE log (
  log TEXT PRIMARY KEY, workspace TEXT NOT NULL, shard TEXT NOT NULL, origin TEXT NOT NULL UNIQUE, vkey TEXT NOT NULL, kid TEXT NOT NULL,
  base INTEGER NOT NULL, size INTEGER NOT NULL, listed INTEGER NOT NULL, frontier BLOB NOT NULL, checkpoint TEXT NOT NULL, closed INTEGER NOT NULL
) STRICT;
--pg ALTER TABLE log SET (fillfactor = 10);
CREATE TABLE event (
  log TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, outcome TEXT NOT NULL, agent TEXT, person TEXT,
  target TEXT, task TEXT, thread TEXT, alters INTEGER NOT NULL, leaf BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (log, seq)
) STRICT;
CREATE UNIQUE INDEX event_id ON event (id, log);
CREATE INDEX event_thread ON event (thread) WHERE thread IS NOT NULL;
CREATE INDEX event_alters ON event (log, seq) WHERE alters = 1;
CREATE INDEX event_outcome ON event (log, seq) WHERE outcome NOT IN ('permit', 'ok');
CREATE TABLE mention (log TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (log, name, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE tile (log TEXT NOT NULL, level INTEGER NOT NULL, n INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (log, level, n)) STRICT;
CREATE TABLE detail (log TEXT NOT NULL, seq INTEGER NOT NULL, field TEXT NOT NULL, subject TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (log, seq, field)) STRICT, WITHOUT ROWID;
CREATE TABLE content (digest TEXT PRIMARY KEY, used_at INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE seen (id BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE subject_key (subject TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT;

-- keyring
CREATE TABLE server_key (
  kid TEXT PRIMARY KEY, purpose TEXT NOT NULL, jwk TEXT NOT NULL, sealed BLOB NOT NULL, created_at INTEGER NOT NULL, retired_at INTEGER
) STRICT;
CREATE UNIQUE INDEX server_key_live ON server_key (purpose) WHERE retired_at IS NULL;

-- people
CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE membership (workspace TEXT NOT NULL, person TEXT NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (workspace, person)) STRICT;
CREATE INDEX membership_person ON membership (person);
CREATE TABLE passkey (
  credential TEXT PRIMARY KEY, person TEXT NOT NULL, cose TEXT NOT NULL, rp_id TEXT NOT NULL, origin TEXT NOT NULL, sign_count INTEGER NOT NULL,
  created_at INTEGER NOT NULL, ended_at INTEGER
) STRICT;
CREATE INDEX passkey_person ON passkey (person);
CREATE TABLE person_key (
  key TEXT PRIMARY KEY, person TEXT NOT NULL, jwk TEXT NOT NULL, label TEXT NOT NULL, created_at INTEGER NOT NULL, ended_at INTEGER
) STRICT;
CREATE INDEX person_key_person ON person_key (person);
CREATE TABLE console_session (
  hash TEXT PRIMARY KEY, person TEXT NOT NULL, acr INTEGER NOT NULL, auth_time INTEGER NOT NULL, created_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX console_session_person ON console_session (person);
CREATE INDEX console_session_expires ON console_session (expires_at);

-- tickets
CREATE TABLE ticket (
  hash TEXT PRIMARY KEY, kind TEXT NOT NULL, workspace TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, spent_at INTEGER
) STRICT;
CREATE INDEX ticket_expires ON ticket (expires_at);
CREATE TABLE ended_token (workspace TEXT NOT NULL, jti TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (workspace, jti)) STRICT;
CREATE INDEX ended_token_expires ON ended_token (expires_at);

-- clients
CREATE TABLE service_client (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, name TEXT NOT NULL, resource TEXT NOT NULL UNIQUE, prefix TEXT NOT NULL, jwk TEXT NOT NULL,
  created_at INTEGER NOT NULL, UNIQUE (workspace, name)
) STRICT;

-- agents
CREATE TABLE agent (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL, expires_at INTEGER,
  created_at INTEGER NOT NULL, UNIQUE (workspace, name)
) STRICT;
CREATE INDEX agent_page ON agent (workspace, id);
CREATE TABLE instance (
  key TEXT PRIMARY KEY, workspace TEXT NOT NULL, agent TEXT NOT NULL, jwk TEXT NOT NULL, trust TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE INDEX instance_agent ON instance (workspace, agent, key);

-- lending
CREATE TABLE delegation (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, parent TEXT, root TEXT NOT NULL, statement TEXT NOT NULL UNIQUE, delegator TEXT NOT NULL, delegator_key TEXT NOT NULL,
  delegate TEXT NOT NULL, instance TEXT, not_before INTEGER NOT NULL, expires_at INTEGER NOT NULL, max_uses INTEGER, uses INTEGER NOT NULL, depth INTEGER NOT NULL,
  task TEXT NOT NULL, signed TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL, ended_at INTEGER, ended_by TEXT, ended_why TEXT
) STRICT;
CREATE INDEX delegation_parent ON delegation (parent, delegate, status, expires_at) WHERE parent IS NOT NULL;
CREATE INDEX delegation_delegate ON delegation (workspace, delegate, id);
CREATE INDEX delegation_delegator ON delegation (workspace, delegator, id);
CREATE INDEX delegation_task ON delegation (workspace, task, id) WHERE task <> '';

-- rules
CREATE TABLE policy_file (digest TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE bundle (workspace TEXT NOT NULL, digest TEXT NOT NULL, manifest TEXT NOT NULL, published_at INTEGER NOT NULL, PRIMARY KEY (workspace, digest)) STRICT;
CREATE TABLE live_bundle (workspace TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT;
CREATE TABLE binding (
  workspace TEXT NOT NULL, principal TEXT NOT NULL, role TEXT NOT NULL, bound_by TEXT NOT NULL, reason TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, principal, role)
) STRICT;

-- approvals
CREATE TABLE approval (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, digest TEXT NOT NULL, object TEXT NOT NULL, gate TEXT NOT NULL, actor TEXT NOT NULL, subject TEXT, delegation TEXT,
  resource_type TEXT NOT NULL, resource_id TEXT NOT NULL, role TEXT NOT NULL, quorum INTEGER NOT NULL, excluded TEXT NOT NULL, arguments TEXT NOT NULL,
  reason TEXT NOT NULL, status TEXT NOT NULL, uses INTEGER NOT NULL, max_uses INTEGER NOT NULL, ttl INTEGER NOT NULL, created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, use_by INTEGER NOT NULL, changed_at INTEGER, asked TEXT
) STRICT;
CREATE UNIQUE INDEX approval_live ON approval (workspace, digest) WHERE status IN ('pending', 'approved');
CREATE INDEX approval_status ON approval (workspace, status, id);
CREATE INDEX approval_actor ON approval (workspace, actor, created_at);
CREATE TABLE vote (
  approval TEXT NOT NULL, voter TEXT NOT NULL, vote TEXT NOT NULL, ballot TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (approval, voter)
) STRICT;

-- catalog
CREATE TABLE mcp_server (
  workspace TEXT NOT NULL, name TEXT NOT NULL, transport TEXT NOT NULL, url TEXT NOT NULL, command TEXT NOT NULL, env TEXT NOT NULL, allow_private INTEGER NOT NULL,
  era TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (workspace, name)
) STRICT;
CREATE TABLE mcp_tool (
  workspace TEXT NOT NULL, server TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, definition TEXT NOT NULL, pin TEXT NOT NULL, class TEXT NOT NULL,
  status TEXT NOT NULL, seen TEXT NOT NULL, seen_pin TEXT NOT NULL, seen_at INTEGER NOT NULL, PRIMARY KEY (workspace, server, kind, name)
) STRICT;
