-- keyring: a key is published before it signs
ALTER TABLE server_key ADD COLUMN signs_from INTEGER NOT NULL DEFAULT 0;
