-- people: who a person is at another provider, and who is awaited by which email address: only its keyed digest is here
CREATE TABLE upstream_identity (
  issuer TEXT NOT NULL, subject TEXT NOT NULL, person TEXT NOT NULL, provider TEXT NOT NULL, created_at INTEGER NOT NULL, ended_at INTEGER,
  PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX upstream_identity_person ON upstream_identity (person);
CREATE TABLE invitation (
  workspace TEXT NOT NULL, email TEXT NOT NULL, person TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (workspace, email)
) STRICT;
CREATE INDEX invitation_person ON invitation (person);
