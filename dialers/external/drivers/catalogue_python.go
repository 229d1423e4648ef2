package drivers

// python returns the sources of a driver in Python: the kit and its part for the way in
// which the client runs (threads, asyncio; empty: neither), the driver, and its packages.
func python(way, name string) []string {
	sources := []string{"python/kit.py"}
	if way != "" {
		sources = append(sources, "python/kit_"+way+".py")
	}
	return append(sources, "python/"+name+"_driver.py", "python/"+name+".txt=requirements.txt")
}

// pythonDrivers are the drivers in Python. One process runs on one core. With a p99 of the lag
// below 1 ms, on two cores with nothing else to do, it carried: httpx 550/s, requests and
// niquests 1,000/s, urllib3 1,300/s, aiohttp 1,500/s, pycurl 2,000/s. Above that requests pile
// up, and httpx, whose pool looks at every connection for every request, does not recover.
var pythonDrivers = []Entry{
	{
		Name: "requests", Client: "requests", Version: "2.34.2", Language: Python,
		Preset:  []string{"requests"},
		Note:    "a Session for all threads, over urllib3 2.8.0",
		Sources: python("threads", "requests"), Main: "requests_driver.py",
	},
	{
		Name: "urllib3", Client: "urllib3", Version: "2.8.0", Language: Python,
		Preset:  []string{"urllib3"},
		Note:    "a PoolManager for all threads",
		Sources: python("threads", "urllib3"), Main: "urllib3_driver.py",
	},
	{
		Name: "niquests", Client: "niquests", Version: "3.21.2", Language: Python,
		Preset:  []string{"niquests"},
		Note:    "a Session for all threads, over urllib3-future 2.25.904",
		Sources: python("threads", "niquests"), Main: "niquests_driver.py",
	},
	{
		Name: "httpx", Client: "httpx AsyncClient", Version: "0.28.1", Language: Python,
		Preset:  []string{"httpx"},
		Note:    "on asyncio, over httpcore 1.0.9; one process carries about 500/s",
		Sources: python("asyncio", "httpx"), Main: "httpx_driver.py",
	},
	{
		Name: "aiohttp", Client: "aiohttp", Version: "3.14.5", Language: Python,
		Preset:  []string{"aiohttp"},
		Sources: python("asyncio", "aiohttp"), Main: "aiohttp_driver.py",
	},
	{
		Name: "pycurl", Client: "libcurl (pycurl, CurlMulti)", Version: "8.23.0", Language: Python,
		Preset:  []string{"libcurl-multi"},
		Note:    "the libcurl 8.23.0 inside pycurl 7.49.0, with a multi handle",
		Sources: python("", "pycurl"), Main: "pycurl_driver.py",
	},
}
