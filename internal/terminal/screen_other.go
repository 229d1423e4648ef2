//go:build !windows

package terminal

import "os"

// understandsEscapes reports whether a terminal moves its cursor when told to.
func understandsEscapes(*os.File) bool { return true }
