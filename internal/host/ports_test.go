package host

import "testing"

func TestParseEphemeral(t *testing.T) {
	for _, tc := range []struct {
		portRange, reserved string
		want                int // available; -1: an error
	}{
		{"32768\t60999\n", "\n", 28232},
		{"1 65535", "", 65535},
		{"40000 40001", "", 2},
		{"40000 40001", "40000", 1},
		{"40000 40001", "40000-40001", 0},
		{"32768 60999", "8080,32768,50000-50009,60999-61005", 28232 - 12},
		{"40000 40009", "39990-40002,40001,40001-40003", 6},
		{"40000 40009", "1-39999,40010-65535", 10},
		{"", "", -1},
		{"40000", "", -1},
		{"40000 40001 40002", "", -1},
		{"40001 40000", "", -1},
		{"40000 70000", "", -1},
		{"-1 5", "", -1},
		{"40000 40009", "x", -1},
		{"40000 40009", "5-", -1},
		{"40000 40009", "9-5", -1},
		{"40000 40009", "1-2-3", -1},
	} {
		p, err := parseEphemeral(tc.portRange, tc.reserved)
		switch {
		case tc.want < 0 && err == nil:
			t.Errorf("%q less %q: no error, %d available", tc.portRange, tc.reserved, p.Available())
		case tc.want >= 0 && (err != nil || p.Available() != tc.want):
			t.Errorf("%q less %q: %d available, %v; want %d", tc.portRange, tc.reserved, p.Available(), err, tc.want)
		}
	}
}

func FuzzParseEphemeral(f *testing.F) {
	f.Add("32768\t60999\n", "8080,9148-9150\n")
	f.Add("0 65535", "0-65535")
	f.Add("5 4", ",,-")
	f.Fuzz(func(t *testing.T, portRange, reserved string) {
		p, err := parseEphemeral(portRange, reserved)
		if err == nil && (p.Available() < 0 || p.Available() > 1<<16 || p.Reserved < 0) {
			t.Errorf("%+v has %d available", p, p.Available())
		}
	})
}
