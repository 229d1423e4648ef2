package drivers

// nodeDrivers are the drivers in Node.js.
var nodeDrivers []Entry
