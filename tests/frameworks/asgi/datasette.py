"""Datasette with a table of 2500 rows in memory, made as a plugin does it."""

from datasette import hookimpl
from datasette.app import Datasette
from datasette.plugins import pm

TABLE = """
create table goods (id integer primary key, name text);
with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 2500)
insert into goods select n, 'thing ' || n from numbers;
"""


class Shop:
    """Brings the table."""

    __name__ = "shop"

    @hookimpl
    def startup(self, datasette):
        async def fill():
            await datasette.add_memory_database("shop").execute_write_script(TABLE)

        return fill


pm.register(Shop())
application = Datasette(memory=True).app()
