-- rules: a role is bound in a scope, for a time, or to be activated by who holds it; what was bound before is bound everywhere and for ever
ALTER TABLE binding RENAME TO binding_before;
CREATE TABLE binding (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, principal TEXT NOT NULL, role TEXT NOT NULL, scope TEXT NOT NULL, state TEXT NOT NULL, expires_at INTEGER NOT NULL,
  bound_by TEXT NOT NULL, reason TEXT NOT NULL, created_at INTEGER NOT NULL, kept_by TEXT NOT NULL, kept_at INTEGER NOT NULL
) STRICT;
INSERT INTO binding (id, workspace, principal, role, scope, state, expires_at, bound_by, reason, created_at, kept_by, kept_at)
  SELECT 'bnd_0000000001o0100000' || substr(CAST(10000000 + row_number() OVER (ORDER BY workspace, principal, role) AS TEXT), 2) || '0',
    workspace, principal, role, '', 'active', 0, bound_by, reason, created_at, '', 0 FROM binding_before;
DROP TABLE binding_before;
CREATE UNIQUE INDEX binding_of ON binding (workspace, principal, role, scope);
CREATE INDEX binding_role ON binding (workspace, role);
CREATE TABLE activation (
  binding TEXT NOT NULL, principal TEXT NOT NULL, workspace TEXT NOT NULL, until INTEGER NOT NULL, reason TEXT NOT NULL, flow TEXT NOT NULL, activated_at INTEGER NOT NULL,
  PRIMARY KEY (binding, principal)
) STRICT;
CREATE INDEX activation_of ON activation (workspace, principal);

-- rules: sets of roles that one principal may not hold together
CREATE TABLE duty_set (
  workspace TEXT NOT NULL, name TEXT NOT NULL, roles TEXT NOT NULL, max INTEGER NOT NULL, dynamic INTEGER NOT NULL, doc TEXT NOT NULL, changed_by TEXT NOT NULL,
  changed_at INTEGER NOT NULL, PRIMARY KEY (workspace, name)
) STRICT;
