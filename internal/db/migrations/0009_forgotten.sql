-- audit: up to where the single-use values of seen were forgotten, in microseconds of their end; one row
CREATE TABLE forgotten (one INTEGER PRIMARY KEY, up_to INTEGER NOT NULL) STRICT;
INSERT INTO forgotten (one, up_to) VALUES (1, 0);
