package drivers

// rustDrivers are the drivers in Rust.
var rustDrivers []Entry
