package kabench

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// The packets that are kept hold no secret, on either leg of a proxy and across
// segments, and are otherwise what was sent.
func TestPacketsHoldNoSecret(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	const token, password = "Zq7xWv93-Kp2JmTt8_Lr5Yc", "Gh4Wub7Vyo"
	long := "" // crosses segments: no two pieces of it are alike
	for i := range 150 {
		long += base64.RawURLEncoding.EncodeToString([]byte("n" + strconv.Itoa(i*7919)))
	}
	basic := base64.StdEncoding.EncodeToString([]byte("zyxwvuts:" + password))
	yaml := "name: n\nload: {rate: 50/s, count: 20, duration: 0s}\nnetwork:\n  hosts: [{name: server}, {name: proxy}]\n  mtu: 576\n  record: {snap: SNAP}\n" +
		"target:\n  lab: {}\n  proxies: [{}]\n  headers: {X-Api-Key: " + token + ", Authorization: Basic " + basic + ", Cookie: 'a=1; sid=" + long + "', X-Plain: shown}\n"
	for _, snap := range []int{80, 160, 576} {
		t.Run(strconv.Itoa(snap), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			run, err := Run(t.Context(), networked(t, strings.ReplaceAll(yaml, "SNAP", strconv.Itoa(snap))), Options{Out: dir})
			if err != nil {
				t.Fatal(err)
			}
			if run.Counts.OK != 20 {
				t.Errorf("%+v: the lab did not get what was sent", run.Counts)
			}
			sent := sentIn(t, filepath.Join(dir, "packets.pcapng"))
			kept, starred := 0, 0
			for where, text := range sent {
				kept += strings.Count(text, "X-Plain: shown")
				if strings.Contains(text, "**") {
					starred++
				}
				for _, secret := range []string{token, basic, password, long} {
					for i := range len(secret) - 7 {
						if at := strings.Index(strings.ToLower(text), strings.ToLower(secret[i:i+8])); at >= 0 {
							t.Errorf("%s: %q", where, text[max(0, at-50):min(at+50, len(text))])
							break
						}
					}
				}
			}
			if starred < 4 || snap == 576 && kept < 4*20 { // each where it left and where it arrived, on two legs
				t.Errorf("%d headers that are no secret, %d flows with stars in %d", kept, starred, len(sent))
			}
		})
	}
}

// sentIn is what the TCP flows in a file carry, by the place where it was seen and the
// flow, in the order of its sequence numbers. Each packet must be well-formed.
func sentIn(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	flows, first := map[string][]byte{}, map[string]uint32{}
	for n := 1; ; n++ {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packet := gopacket.NewPacket(data, layers.LayerTypeIPv4, gopacket.Default)
		whole := ci.Length == ci.CaptureLength
		tcp, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok {
			continue // the resets and the rest of a host's own
		}
		if err := tcp.SetNetworkLayerForChecksum(packet.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		if whole {
			if err, wrong := packet.VerifyChecksums(); err != nil || len(wrong) > 0 {
				t.Errorf("packet %d: %v, wrong checksums %v", n, err, wrong)
			}
			if bytes.Contains(tcp.Payload, []byte("**")) && packet.ErrorLayer() != nil {
				t.Errorf("packet %d is broken: %v", n, packet.ErrorLayer().Error())
			}
		}
		where := strconv.Itoa(ci.InterfaceIndex) + " " + packet.NetworkLayer().NetworkFlow().String() + " " + tcp.TransportFlow().String()
		if tcp.SYN {
			first[where] = tcp.Seq + 1
			continue
		}
		at := int(tcp.Seq - first[where])
		if end := at + len(tcp.Payload); end > len(flows[where]) && end < 1<<20 {
			flows[where] = append(flows[where], bytes.Repeat([]byte{0}, end-len(flows[where]))...)
		}
		copy(flows[where][min(at, len(flows[where])):], tcp.Payload)
	}
	sent := map[string]string{}
	for where, b := range flows {
		sent[where] = string(b)
	}
	return sent
}
