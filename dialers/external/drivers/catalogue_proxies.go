package drivers

// proxyDrivers are the drivers of proxies: each starts the proxy, and sends requests through it.
var proxyDrivers []Entry
