-- lending: which delegation a narrower or newer one took the place of; lists by status
ALTER TABLE delegation ADD COLUMN replaces TEXT;
CREATE INDEX delegation_status ON delegation (workspace, status, id);
