package terminal

import (
	"os"

	"golang.org/x/sys/windows"
)

// understandsEscapes has the console understand escape sequences, and reports
// whether it does: consoles before Windows 10 do not.
func understandsEscapes(f *os.File) bool {
	var mode uint32
	console := windows.Handle(f.Fd())
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
