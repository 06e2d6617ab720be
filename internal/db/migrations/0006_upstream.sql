-- people: who a person is at another provider
CREATE TABLE upstream_identity (
  issuer TEXT NOT NULL, subject TEXT NOT NULL, person TEXT NOT NULL, provider TEXT NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX upstream_identity_person ON upstream_identity (person);
