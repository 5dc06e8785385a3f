/* An application in C. It opens its database when its ready file is there, and never before.
   cc -o waits_until_ready examples/waits_until_ready.c -lsqlite3
   ./waits_until_ready /run/bootmigrate/ready/settings /var/lib/gateway/settings.db "SELECT count(*) FROM wifi" [SECONDS] */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count < 4) return fprintf(stderr, "usage: %s READY-FILE DATABASE QUERY [SECONDS]\n", words[0]), 2;
    for (int tries = count > 4 ? 20 * atoi(words[4]) : 0; access(words[1], F_OK) != 0; usleep(50000))
        if (tries-- <= 0) return fprintf(stderr, "%s is not there: the database is not opened\n", words[1]), 75;
    sqlite3 *database = NULL;
    sqlite3_stmt *query = NULL;
    int code = sqlite3_open_v2(words[2], &database, SQLITE_OPEN_READWRITE, NULL); /* never SQLITE_OPEN_CREATE */
    if (code == SQLITE_OK) code = sqlite3_prepare_v2(database, words[3], -1, &query, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(query)) == SQLITE_ROW) printf("%s\n", sqlite3_column_text(query, 0));
    else fprintf(stderr, "%s: %s\n", words[2], sqlite3_errmsg(database));
    sqlite3_finalize(query);
    return sqlite3_close(database) != SQLITE_OK || code != SQLITE_ROW;
}
