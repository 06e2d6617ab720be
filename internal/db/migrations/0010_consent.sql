-- tickets: what an authorization leaves behind. family is the delegation that a code or a refresh token is of, client who may spend it, jkt the key that it is bound to.
ALTER TABLE ticket ADD COLUMN family TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket ADD COLUMN client TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket ADD COLUMN jkt TEXT;
-- refused: it was spent, and brought nothing
ALTER TABLE ticket ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
DROP INDEX ticket_expires;
CREATE INDEX ticket_expires ON ticket (expires_at) WHERE family = '';
CREATE INDEX ticket_family_expires ON ticket (expires_at) WHERE family <> '';
