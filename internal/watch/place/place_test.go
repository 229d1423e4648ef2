package place

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	id    = "9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d"
	other = "9ec39b91f3d7aaaabeff50a308f77067065ea6be0d91a3378375056cd4422cf3"
	pod   = "dde1244b-5bb5-4297-b544-85f3bc0d80bf"
	under = "dde1244b_5bb5_4297_b544_85f3bc0d80bf"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Container
	}{
		{"no container, version 2", "0::/user.slice/user-1000.slice/session-214.scope\n", Container{}},
		{"the root", "0::/\n", Container{}},
		{"a service", "1:name=systemd:/system.slice/docker.service\n0::/system.slice/docker.service\n", Container{}},
		{"Docker, version 1 by cgroupfs", "12:memory:/docker/" + id + "\n1:name=systemd:/docker/" + id + "\n0::/system.slice/containerd.service\n", Container{ID: id}},
		{"Docker, version 1 by systemd", "10:devices:/system.slice/docker-" + id + ".scope\n1:name=systemd:/system.slice/docker-" + id + ".scope\n", Container{ID: id}},
		{"Docker, version 2 by systemd", "0::/system.slice/docker-" + id + ".scope\n", Container{ID: id}},
		{"an old Docker", "10:net_prio:/" + id + "\n", Container{ID: id}},
		{"a group inside of a container", "0::/system.slice/docker-" + id + ".scope/init.scope\n", Container{ID: id}},
		{"Docker in Docker", "0::/docker/" + other + "/docker/" + id + "\n", Container{ID: id}},
		{"a runner of builds", "0::/actions_job/" + id + "\n", Container{ID: id}},
		{"containerd, version 2 by systemd", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under + ".slice/cri-containerd-" + id + ".scope\n", Container{id, pod}},
		{"a guaranteed pod", "0::/kubepods.slice/kubepods-pod" + under + ".slice/cri-containerd-" + id + ".scope\n", Container{id, pod}},
		{"containerd, version 1 by systemd, with colons", "11:devices:/system.slice/containerd.service/kubepods-besteffort-pod" + under + ".slice:cri-containerd:" + id + "\n", Container{id, pod}},
		{"containerd by cgroupfs", "11:cpu,cpuacct:/kubepods/burstable/pod" + pod + "/" + id + "\n", Container{id, pod}},
		{"CRI-O", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + under + ".slice/crio-" + id + ".scope/container\n", Container{id, pod}},
		{"CRI-O's conmon", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + under + ".slice/crio-conmon-" + id + ".scope\n", Container{Pod: pod}},
		{"Docker below Kubernetes", "4:memory:/kubepods/besteffort/pod" + pod + "/" + id + "\n3:cpuset:/kubepods/besteffort/pod" + pod + "/" + id + "\n", Container{id, pod}},
		{"a static pod, whose UID is a hash", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podd3b07384d113edec49eaa6238ad5ff00.slice/cri-containerd-" + id + ".scope\n", Container{id, "d3b07384d113edec49eaa6238ad5ff00"}},
		{"kind: a node that is a container", "0::/system.slice/docker-" + other + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + under + ".slice/cri-containerd-" + id + ".scope\n", Container{id, pod}},
		{"Podman", "0::/machine.slice/libpod-" + id + ".scope/container\n", Container{ID: id}},
		{"Podman's conmon", "0::/machine.slice/libpod-conmon-" + id + ".scope\n", Container{}},
		{"a quadlet", "0::/system.slice/my.service/libpod-payload-" + id + "\n", Container{ID: id}},
		{"nerdctl", "0::/system.slice/nerdctl-" + id + ".scope\n", Container{ID: id}},
		{"digits that are no ID", "0::/system.slice/docker-" + id[:40] + ".scope\n", Container{}},
		{"what is not a cgroup file", "\n:\n1:x\nkubepods/" + id + "\n", Container{}},
		{"the namespaced path of a process outside of ours", "0::/../docker-" + id + ".scope\n", Container{ID: id}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Parse(tc.text); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0::/kubepods.slice/kubepods-pod" + under + ".slice/cri-containerd-" + id + ".scope\n")
	f.Add("11:devices:/x/kubepods-besteffort-pod" + under + ".slice:cri-containerd:" + id)
	f.Fuzz(func(t *testing.T, text string) {
		c := Parse(text)
		if c.ID != "" && (len(c.ID) != 64 || !strings.Contains(text, c.ID)) || strings.Contains(c.Pod, "_") {
			t.Errorf("%+v", c)
		}
	})
}

// fakeProc writes a proc file system.
func fakeProc(t *testing.T, groups map[int]string, hosts map[int]string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for pid, text := range groups {
		write(strconv.Itoa(pid)+"/cgroup", text)
	}
	for pid, name := range hosts {
		write(strconv.Itoa(pid)+"/root/etc/hostname", name+"\n")
	}
	write("cpuinfo", "")
	if err := os.Mkdir(filepath.Join(dir, "77"), 0o755); err != nil { // ends while it is read
		t.Fatal(err)
	}
	return dir
}

func TestFind(t *testing.T) {
	groups := map[int]string{
		1:   "0::/init.scope\n",
		9:   "0::/system.slice/docker-" + id + ".scope\n",
		120: "0::/system.slice/docker-" + id + ".scope\n",
		30:  "0::/system.slice/docker-" + other + ".scope\n",
		40:  "0::/kubepods/burstable/pod" + pod + "/" + strings.Repeat("a", 64) + "\n",
		41:  "0::/kubepods/burstable/pod" + pod + "/" + strings.Repeat("b", 64) + "\n",
		50:  "0::/kubepods/burstable/pod00000000-5bb5-4297-b544-85f3bc0d80bf/" + strings.Repeat("c", 64) + "\n",
	}
	f := finder{fakeProc(t, groups, map[int]string{1: "orders-0", 40: "orders-0", 41: "orders-0", 50: "orders-1"})}
	for _, tc := range []struct {
		name string
		find func(string) ([]int, error)
		want []int
		is   error
	}{
		{id, f.byContainer, []int{9, 120}, nil},
		{id[:13], f.byContainer, []int{9, 120}, nil},
		{"docker://" + id, f.byContainer, []int{9, 120}, nil},
		{id[:12], f.byContainer, nil, ErrAmbiguous},
		{strings.Repeat("d", 64), f.byContainer, nil, ErrNone},
		{"orders-0", f.byPod, []int{40, 41}, nil},
		{pod, f.byPod, []int{40, 41}, nil},
		{under, f.byPod, []int{40, 41}, nil},
		{"orders", f.byPod, nil, ErrNone},
		{"", f.byPod, nil, ErrNone},
	} {
		got, err := tc.find(tc.name)
		if !slices.Equal(got, tc.want) || !errors.Is(err, tc.is) || (err != nil) != (tc.is != nil) {
			t.Errorf("%q: %v, %v; want %v, %v", tc.name, got, err, tc.want, tc.is)
		}
	}
	for _, bad := range []string{"", "web", id[:11], id + "0", "Docker-" + id} {
		if _, err := f.byContainer(bad); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
