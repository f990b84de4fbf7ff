// Judges `jumpvisor simulate` by govmomi's client library: each check has a simulated server of its
// own. A line for each failed check, then how many passed; ends with 1 if any failed.
//
//	tests/peers/.build/govmomi-judge [-only TEXT] BINARY
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var ctx = context.Background()

type check struct {
	name string
	kind string
	run  func(*server)
}

// server is one `jumpvisor simulate`, with a client that is logged in.
type server struct {
	*govmomi.Client
	find *find.Finder
	kind string
	user string
	url  *url.URL
	cert string
}

// failure is what ends a check.
type failure string

// must ends the check where there is an error.
func must(err error, doing string) {
	if err != nil {
		panic(failure(where() + doing + ": " + err.Error()))
	}
}

// same ends the check where two values differ.
func same(found, wanted interface{}, what string) {
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		panic(failure(fmt.Sprintf("%s%s: %v instead of %v", where(), what, found, wanted)))
	}
}

// holds ends the check where something is not so.
func holds(so bool, what string, more ...interface{}) {
	if !so {
		panic(failure(where() + what + " " + fmt.Sprintln(more...)))
	}
}

// where is the line of the check that complains.
func where() string {
	for depth := 2; depth < 6; depth++ {
		_, file, line, _ := runtime.Caller(depth)
		if filepath.Base(file) == "checks.go" {
			return fmt.Sprintf("checks.go:%d ", line)
		}
	}
	return ""
}

// refused ends the check unless the error is a fault of one of these types.
func refused(err error, faults ...string) {
	found := "nothing was refused"
	if err != nil {
		found = err.Error()
		if soap.IsSoapFault(err) {
			found = fmt.Sprintf("%T", soap.ToSoapFault(err).VimFault())
		} else if failed, is := err.(task.Error); is {
			found = fmt.Sprintf("%T", failed.Fault())
		} else if soap.IsVimFault(err) {
			found = fmt.Sprintf("%T", soap.ToVimFault(err))
		}
	}
	name := strings.TrimPrefix(strings.TrimPrefix(found, "*"), "types.")
	for _, fault := range faults {
		if name == fault {
			return
		}
	}
	panic(failure(fmt.Sprintf("%s%s, where %s should be", where(), found, strings.Join(faults, " or "))))
}

// done waits for a task; answers what it ended with.
func done(started *object.Task, err error) *types.TaskInfo {
	must(err, "starting a task")
	info, err := started.WaitForResult(ctx, nil)
	must(err, "a task")
	return info
}

// ended waits for a task that fails.
func ended(started *object.Task, err error) error {
	if err != nil {
		return err
	}
	return started.Wait(ctx)
}

func (s *server) vm(name string) *object.VirtualMachine {
	vm, err := s.find.VirtualMachine(ctx, name)
	must(err, "finding "+name)
	return vm
}

// login is a session of its own, without anything that keeps it alive.
func (s *server) login(user, password string) (*govmomi.Client, error) {
	client := soap.NewClient(s.url, false)
	if err := client.SetRootCAs(s.cert); err != nil {
		return nil, err
	}
	vim, err := vim25.NewClient(ctx, client)
	if err != nil {
		return nil, err
	}
	own := &govmomi.Client{Client: vim, SessionManager: session.NewManager(vim)}
	return own, own.Login(ctx, url.UserPassword(user, password))
}

// judge starts a server, and gives it to the check.
func (c check) judge(binary string) (outcome string) {
	directory, err := os.MkdirTemp("", "judge-")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(directory)
	s := &server{kind: c.kind, user: "root", cert: filepath.Join(directory, "cert.pem")}
	if c.kind == "vcenter" {
		s.user = "administrator@vsphere.local"
	}
	command := exec.Command(binary, "simulate", "--kind", c.kind, "--certificate", s.cert)
	output, err := command.StdoutPipe()
	if err != nil {
		return err.Error()
	}
	if err := command.Start(); err != nil {
		return err.Error()
	}
	defer func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
	}()
	lines := bufio.NewReader(output)
	address, _ := lines.ReadString('\n')
	_, err = lines.ReadString('\n')
	if err != nil {
		return "simulate did not start: " + address
	}
	defer func() {
		switch said := recover().(type) {
		case nil:
		case failure:
			outcome = string(said)
		default:
			outcome = fmt.Sprintf("panic: %v", said)
		}
	}()
	s.url, err = soap.ParseURL(strings.TrimSpace(address))
	must(err, "the address")
	s.Client, err = s.login(s.user, "secret")
	must(err, "login")
	s.find = find.NewFinder(s.Client.Client, true)
	centre, err := s.find.DefaultDatacenter(ctx)
	must(err, "the datacenter")
	s.find.SetDatacenter(centre)
	c.run(s)
	return ""
}

// pinned is a client that trusts a fingerprint instead of an authority.
func (s *server) pinned(fingerprint string) (*vim25.Client, error) {
	client := soap.NewClient(s.url, false)
	client.SetThumbprint(s.url.Host, fingerprint)
	return vim25.NewClient(ctx, client)
}

// sha1 is the fingerprint of the server's certificate that govmomi knows.
func (s *server) sha1() string {
	connection, err := tls.Dial("tcp", s.url.Host, &tls.Config{InsecureSkipVerify: true})
	must(err, "dial")
	defer connection.Close()
	return soap.ThumbprintSHA1(connection.ConnectionState().PeerCertificates[0])
}

// whole reads a body to its end.
func whole(body io.ReadCloser) []byte {
	defer body.Close()
	var all bytes.Buffer
	_, err := all.ReadFrom(body)
	must(err, "reading a body")
	return all.Bytes()
}

func main() {
	only := flag.String("only", "", "checks whose name contains this")
	jobs := flag.Int("jobs", 8, "checks at the same time")
	flag.Parse()
	// To go to the hosts with tickets is for real vCenters, whose hosts have addresses.
	os.Setenv("GOVMOMI_USE_SERVICE_TICKET", "false")
	begun, count, failed := time.Now(), 0, 0
	var lock sync.Mutex
	var all sync.WaitGroup
	room := make(chan bool, *jobs)
	for _, one := range checks() {
		if !strings.Contains(one.name, *only) {
			continue
		}
		count++
		all.Add(1)
		room <- true
		go func(one check) {
			defer all.Done()
			outcome := make(chan string, 1)
			go func() { outcome <- one.judge(flag.Arg(0)) }()
			said := ""
			select {
			case said = <-outcome:
			case <-time.After(40 * time.Second):
				said = "it does not end"
			}
			<-room
			if said != "" {
				lock.Lock()
				failed++
				fmt.Printf("FAIL  %s (%s): %s\n", one.name, one.kind, strings.Join(strings.Fields(said), " "))
				lock.Unlock()
			}
		}(one)
	}
	all.Wait()
	fmt.Printf("govmomi: %d passed, %d failed in %.1f s\n", count-failed, failed, time.Since(begun).Seconds())
	if failed > 0 || count == 0 {
		os.Exit(1)
	}
}
