package install

import "os"

// own does nothing: here, new files belong to whom their folder says.
func (f *file) own(*os.File) error { return nil }
