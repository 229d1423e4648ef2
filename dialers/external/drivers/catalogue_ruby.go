package drivers

// rubyDrivers are the drivers in Ruby.
var rubyDrivers []Entry
