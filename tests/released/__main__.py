from tests.released import TABLES, tables

TABLES.write_text(tables(), "utf-8")
print(TABLES.name)
