//go:build !linux

package host

// ReadFitness leaves all facts zero: they are read as Linux tells them.
func ReadFitness() Fitness { return Fitness{} }

// TryNamespaces returns ErrNeedsLinux for both.
func TryNamespaces(...string) Namespaces { return Namespaces{ErrNeedsLinux, ErrNeedsLinux} }
