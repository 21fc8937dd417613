/* Threads, each with a connection of its own, that write to one database, in the way of each other. */
//# cflags: -pthread
//# ldflags: -lsqlite3
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, TRANSACTIONS = 12, ROWS = 1500 };

static sqlite3 *open_database(void) {
    sqlite3 *database;
    if (sqlite3_open("threads.db", &database) != SQLITE_OK) abort();
    sqlite3_busy_timeout(database, 60000);
    return database;
}

static void run(sqlite3 *database, const char *sql) {
    char *error;
    if (sqlite3_exec(database, sql, NULL, NULL, &error) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, error);
        exit(1);
    }
}

static int print_row(void *unused, int count, char **columns, char **names) {
    (void)unused, (void)names;
    for (int i = 0; i < count; i++) printf("%s%c", columns[i] ? columns[i] : "NULL", i + 1 < count ? ' ' : '\n');
    return 0;
}

static void *write_rows(void *argument) {
    const int thread = *(int *)argument;
    sqlite3 *database = open_database();
    run(database, "PRAGMA synchronous = OFF; PRAGMA cache_size = 100");
    for (int transaction = 0; transaction < TRANSACTIONS; transaction++) {
        run(database, "BEGIN IMMEDIATE");
        sqlite3_stmt *insert;
        if (sqlite3_prepare_v2(database, "INSERT INTO numbers VALUES (?1, ?2, hex(?1 * 7919 % 10007) || ?1)", -1, &insert, NULL)) abort();
        for (int row = 0; row < ROWS; row++) {
            sqlite3_bind_int(insert, 1, (transaction * ROWS + row) * THREADS + thread);
            sqlite3_bind_int(insert, 2, thread);
            if (sqlite3_step(insert) != SQLITE_DONE) abort();
            sqlite3_reset(insert);
        }
        sqlite3_finalize(insert);
        char sql[200];
        snprintf(sql, sizeof sql, "UPDATE numbers SET text = text || '%d' WHERE thread = %d AND id %% 7 = %d", transaction, thread, transaction % 7);
        run(database, sql);
        run(database, "COMMIT");
    }
    sqlite3_close(database);
    return NULL;
}

int main(void) {
    sqlite3 *database = open_database();
    run(database, "CREATE TABLE numbers (id INTEGER PRIMARY KEY, thread INTEGER, text TEXT); CREATE INDEX by_text ON numbers (text)");
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, write_rows, &numbers[i])) abort();
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    sqlite3_exec(database, "SELECT thread, count(*), sum(id), sum(length(text)), max(text) FROM numbers GROUP BY thread", print_row, NULL, NULL);
    sqlite3_exec(database, "PRAGMA integrity_check", print_row, NULL, NULL);
    sqlite3_exec(database, "SELECT * FROM numbers ORDER BY text LIMIT 20", print_row, NULL, NULL);
    sqlite3_close(database);
}
