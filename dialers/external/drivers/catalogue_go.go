package drivers

// goDrivers are the drivers in Go.
var goDrivers []Entry
