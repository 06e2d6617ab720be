-- catalog: a tool takes arguments that its definition does not declare, and policy does not see
ALTER TABLE mcp_tool ADD COLUMN open_arguments INTEGER NOT NULL DEFAULT 0;
