-- audit: which single-use values of seen were forgotten: those that ended from the one moment to the other, in microseconds, both inclusive
CREATE TABLE forgotten (from_at INTEGER PRIMARY KEY, to_at INTEGER NOT NULL) STRICT;
