package filewatch

import "os"

// Trusted refuses nothing: Windows has other permissions.
func Trusted(string, os.FileInfo) error { return nil }
