package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/kabench/kabench/profiles/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const tunPath = "/dev/net/tun"

// txQueue is how many packets the kernel keeps in a TUN device until the wire reads
// them. It drops further ones and counts them.
const txQueue = 10000

// openTUN makes the TUN device name in the namespace of the calling thread, with these
// addresses and a route to subnet. It returns the device's descriptor, which does not
// block. Closing the descriptor removes the device.
func openTUN(name string, addrs []netip.Addr, subnet netip.Prefix, mtu int) (fd int, err error) {
	fd, err = unix.Open(tunPath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: tunPath, Err: err}
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
			fd = -1
		}
	}()
	req, err := unix.NewIfreq(name)
	if err != nil {
		return fd, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return fd, fmt.Errorf("TUN device %s: %w", name, err)
	}
	return fd, configureTUN(name, addrs, subnet, mtu)
}

func configureTUN(name string, addrs []netip.Addr, subnet netip.Prefix, mtu int) error {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("TUN device %s: %w", name, err)
	}
	if err := netlink.LinkSetMTU(dev, mtu); err != nil {
		return fmt.Errorf("TUN device %s: mtu %d: %w", name, mtu, err)
	}
	if err := netlink.LinkSetTxQLen(dev, txQueue); err != nil {
		return fmt.Errorf("TUN device %s: queue: %w", name, err)
	}
	for _, a := range addrs {
		if err := netlink.AddrAdd(dev, &netlink.Addr{IPNet: ipNet(a, 32)}); err != nil {
			return fmt.Errorf("TUN device %s: address %v: %w", name, a, err)
		}
	}
	if err := netlink.LinkSetUp(dev); err != nil {
		return fmt.Errorf("TUN device %s: up: %w", name, err)
	}
	route := netlink.Route{LinkIndex: dev.Attrs().Index, Dst: ipNet(subnet.Addr(), subnet.Bits()), Src: addrs[0].AsSlice(), Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(&route); err != nil {
		return fmt.Errorf("TUN device %s: route to %v: %w", name, subnet, err)
	}
	return nil
}

// loseIPv6 gives the client's device an IPv6 address and a route over which every packet
// reaches the wire, which carries none of them.
func loseIPv6(name string, addr netip.Addr) error {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("TUN device %s: %w", name, err)
	}
	six := network.IPv6Of(addr)
	// Nobody else is there who could have the address (NODAD).
	if err := netlink.AddrAdd(dev, &netlink.Addr{IPNet: ipNet(six, 128), Flags: unix.IFA_F_NODAD}); err != nil {
		return fmt.Errorf("TUN device %s: address %v: %w", name, six, err)
	}
	to := network.IPv6Net()
	route := netlink.Route{LinkIndex: dev.Attrs().Index, Dst: ipNet(to.Addr(), to.Bits()), Src: six.AsSlice()}
	if err := netlink.RouteAdd(&route); err != nil {
		return fmt.Errorf("TUN device %s: route to %v: %w", name, to, err)
	}
	return nil
}

func ipNet(a netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}
}

// LoopbackUp enables the loopback device of the namespace in which Reexec has started this
// process. A Network does so by itself.
func LoopbackUp() error { return loopbackUp() }

// loopbackUp enables the loopback device in the namespace of the calling thread.
func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("loopback device: %w", err)
	}
	return nil
}

// unseenDrops returns how many packets the kernel dropped at the device because the
// wire read too slowly, and how many packets of the wire it refused.
func unseenDrops(name string) (uint64, error) {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("TUN device %s: %w", name, err)
	}
	s := dev.Attrs().Statistics
	if s == nil {
		return 0, nil
	}
	return s.TxDropped + s.RxDropped, nil
}
