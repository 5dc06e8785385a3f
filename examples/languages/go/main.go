// Waits for the ready file, and counts the notes.
package main

//go:generate bootmigrate-workbench --migrations ../migrations pack --output notes.catalogue

/*
#cgo LDFLAGS: -lsqlite3
#include <sqlite3.h>
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"
)

const tempFail = 75

func waited(ready string) bool {
	seconds, err := strconv.Atoi(os.Getenv("NOTES_WAIT_S"))
	if err != nil {
		seconds = 60
	}
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		if _, err := os.Stat(ready); err == nil {
			return true
		}
		if !time.Now().Before(until) {
			return false
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func countNotes(path string) (int, error) {
	name, sql := C.CString(path), C.CString("SELECT count(*) FROM note")
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(sql))
	var database *C.sqlite3
	var statement *C.sqlite3_stmt
	defer func() { C.sqlite3_close(database) }()
	if C.sqlite3_open_v2(name, &database, C.SQLITE_OPEN_READWRITE, nil) != C.SQLITE_OK ||
		C.sqlite3_prepare_v2(database, sql, -1, &statement, nil) != C.SQLITE_OK {
		return 0, fmt.Errorf("%s", C.GoString(C.sqlite3_errmsg(database)))
	}
	defer C.sqlite3_finalize(statement)
	if C.sqlite3_step(statement) != C.SQLITE_ROW {
		return 0, fmt.Errorf("%s", C.GoString(C.sqlite3_errmsg(database)))
	}
	return int(C.sqlite3_column_int(statement, 0)), nil
}

func main() {
	root := os.Getenv("NOTES_ROOT")
	if !waited(root + "/run/bootmigrate/ready/notes") {
		fmt.Fprintln(os.Stderr, "notes is not ready")
		os.Exit(tempFail)
	}
	count, err := countNotes(root + "/var/lib/notes/notes.db")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d notes\n", count)
}
