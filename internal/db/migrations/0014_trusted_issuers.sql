-- lending: whose word is taken for which agents of theirs: rule says as whom here, and under which delegation at most
CREATE TABLE trusted_issuer (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, issuer TEXT NOT NULL, agent TEXT NOT NULL, delegation TEXT NOT NULL, rule TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX trusted_issuer_issuer ON trusted_issuer (workspace, issuer);
