package drivers

// javaDrivers are the drivers in Java.
var javaDrivers []Entry
