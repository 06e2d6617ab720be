-- lending: what a person lent, as the page of it asks
CREATE INDEX delegation_lent ON delegation (workspace, delegator, expires_at) WHERE parent IS NULL;
