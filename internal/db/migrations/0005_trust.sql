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
