package network_test

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

// A client and a server with 5 ms between them, behind a middlebox that forgets
// connections after ten idle seconds and resets their next packet.
func Example() {
	cfg := network.Config{
		Hosts: []network.Host{{Name: "server"}},
		Links: []network.Link{{
			Between:    [2]string{network.ClientName, "server"},
			Conditions: network.Conditions{Delay: 5 * time.Millisecond},
			Flows:      &network.Flows{Idle: 10 * time.Second, Unknown: network.UnknownRST},
		}},
	}
	fmt.Println(cfg.Validate())
	fmt.Println(cfg.Links[0].Name(), cfg.Addrs("client"), cfg.Addrs("server"))
	// Output:
	// <nil>
	// client-server [10.77.0.1] [10.77.0.2]
}
