-- catalog: where a server runs, as scopes of roles and policies name it
ALTER TABLE mcp_server ADD COLUMN environment TEXT NOT NULL DEFAULT '';
