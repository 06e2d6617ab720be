-- lending: what took the place of a delegation, among however many were lent to its agent
CREATE INDEX delegation_replaces ON delegation (workspace, delegate, replaces) WHERE replaces IS NOT NULL;
