package drivers

// pythonDrivers are the drivers in Python.
var pythonDrivers []Entry
