/* Nothing: the library liblogitsql.so is LogitSQL, linked as SQLite's hosts want it. */
