package sqlite

import "errors"

// SQLite's primary result codes, https://www.sqlite.org/rescode.html.
const (
	codeBusy     = 5  // SQLITE_BUSY: another process holds the database
	codeReadOnly = 8  // SQLITE_READONLY
	codeFull     = 13 // SQLITE_FULL
	codeCantOpen = 14 // SQLITE_CANTOPEN
	codeCorrupt  = 11 // SQLITE_CORRUPT
	codeNotADB   = 26 // SQLITE_NOTADB
)

// IsReadOnly reports whether an error says that the database, or its folder, cannot be written.
func IsReadOnly(err error) bool {
	return resultCode(err) == codeReadOnly
}

// IsUnopenable reports whether an error says that a file of the database cannot be made or opened.
func IsUnopenable(err error) bool {
	return resultCode(err) == codeCantOpen
}

// IsFull reports whether an error says that the disk has no room.
func IsFull(err error) bool {
	return resultCode(err) == codeFull
}

// IsDamaged reports whether an error says that a file is damaged, or not a database at all.
func IsDamaged(err error) bool {
	code := resultCode(err)
	return code == codeCorrupt || code == codeNotADB
}

// resultCode returns SQLite's primary result code of an error, or 0 if it has none.
func resultCode(err error) int {
	coded, ok := errors.AsType[interface {
		error
		Code() int
	}](err)
	if !ok {
		return 0
	}
	return coded.Code() & 0xff
}
