-- people: the latest iat, seconds, of a token that was issued ahead of the clock, which every later end is to reach
ALTER TABLE workspace ADD COLUMN issued_to INTEGER NOT NULL DEFAULT 0;
