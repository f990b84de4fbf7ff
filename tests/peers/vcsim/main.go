// The peer of the tests: Debian's govmomi simulator as one process that a test starts, reads one
// line from (its URL), drives, and ends.
//
// A front before it sees every request. It counts them (GET and DELETE /count), keeps the bodies of
// each kind (GET /last?method=NAME; GET /all?method=NAME, the newest 100 as JSON), loses sessions on
// demand (DELETE /sessions), and mends what would otherwise let a wrong client pass: the simulator answers property queries without a session,
// finishes every task before it answers, and knows no CancelTask.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator" // sessions and tags over REST, vCenter only
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

var (
	kind      = flag.String("model", "esx", "esx or vpx")
	listen    = flag.String("listen", "127.0.0.1:0", "address; port 0 takes a free one")
	user      = flag.String("user", "root", "the only user")
	password  = flag.String("password", "secret", "and the password")
	vms       = flag.Int("vms", 0, "VMs in all (0: as the model has it, esx 2, vpx 4)")
	hosts     = flag.Int("hosts", 1, "vpx: standalone hosts beside the cluster of three")
	stores    = flag.Int("datastores", 1, "datastores")
	guests    = flag.Int("guests", 1, "VMs that have running tools, a host name and 10.0.0.10, .11, ...")
	twins     = flag.Bool("two-same-names", false, "vpx: move the last VM to folder `twins`, with the first one's name")
	idle      = flag.Duration("session-timeout", 0, "idle sessions end after this, e.g. 3s")
	delay     = flag.Int("delay", 0, "milliseconds before each SOAP answer")
	delays    = flag.String("method-delay", "", "the same by method: CurrentTime:500,PowerOnVM_Task:3000")
	taskTime  = flag.Duration("task-time", 0, "a task runs this long, with progress, and can be cancelled")
	cert      = flag.String("cert", "", "PEM certificate (default: cert.pem beside this program)")
	key       = flag.String("key", "", "PEM key (default: key.pem beside this program)")
	noTLS     = flag.Bool("no-tls", false, "plain HTTP")
	untilEOF  = flag.Bool("until-eof", false, "end when standard input ends")
	trace     = flag.Bool("trace", false, "SOAP messages and the simulator's log on standard error")
	bodyStart = regexp.MustCompile(`<(?:[\w.-]+:)?Body[^>]*>\s*<(?:[\w.-]+:)?(\w+)`)
	taskRef   = regexp.MustCompile(`type="Task"[^>]*>([^<]+)<`)
)

const cookieName = "vmware_soap_session"

// front is what clients talk to.
type front struct {
	inner   http.Handler
	mu      sync.Mutex
	count   map[string]int
	bodies  map[string][]string
	clients map[string]bool
	seen    map[string]bool // session cookies that came in
	lost    map[string]bool // and those that we play dead for
	running map[string]chan struct{}
}

func (f *front) reset() {
	f.count, f.bodies, f.clients = map[string]int{}, map[string][]string{}, map[string]bool{}
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.control(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	method := r.Method + " " + r.URL.Path
	soap := r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, vim25.Path)
	if m := bodyStart.FindSubmatch(body); soap && m != nil {
		method = string(m[1])
	}
	f.note(method, soap, body, r)
	again := func() *http.Request { r.Body = io.NopCloser(bytes.NewReader(body)); return r }

	switch {
	case soap && (strings.HasPrefix(method, "RetrieveProperties") || method == "Fetch"):
		if refused := f.refused(r); refused != nil {
			relay(w, refused)
			return
		}
	case method == "CancelTask":
		if m := taskRef.FindSubmatch(body); m != nil && f.cancel(string(m[1])) {
			fmt.Fprint(w, `<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">`+
				`<soapenv:Body><CancelTaskResponse xmlns="urn:vim25"/></soapenv:Body></soapenv:Envelope>`)
			return
		}
	case *taskTime > 0 && strings.HasSuffix(method, "_Task"):
		answer := httptest.NewRecorder()
		f.inner.ServeHTTP(answer, again())
		if m := taskRef.FindSubmatch(answer.Body.Bytes()); m != nil {
			f.stretch(string(m[1]))
		}
		relay(w, answer)
		return
	}
	f.inner.ServeHTTP(w, again())
}

// control answers the test's own questions.
func (f *front) control(w http.ResponseWriter, r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /count":
		f.count["connections"] = len(f.clients)
		_ = json.NewEncoder(w).Encode(f.count)
	case "DELETE /count":
		f.reset()
	case "GET /last":
		all := f.bodies[r.URL.Query().Get("method")]
		if len(all) == 0 {
			w.WriteHeader(http.StatusNotFound)
			break
		}
		_, _ = io.WriteString(w, all[len(all)-1])
	case "GET /all":
		_ = json.NewEncoder(w).Encode(f.bodies[r.URL.Query().Get("method")])
	case "DELETE /sessions":
		for s := range f.seen {
			f.lost[s] = true
		}
	default:
		return false
	}
	return true
}

// note counts a request, keeps it if it is SOAP (uploads are not), and strips a session that was declared lost.
func (f *front) note(method string, soap bool, body []byte, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count[method]++
	f.count["total"]++
	if all := f.bodies[method]; soap && len(all) < 100 {
		f.bodies[method] = append(all, string(body))
	} else if soap {
		f.bodies[method] = append(all[1:], string(body))
	}
	f.clients[r.RemoteAddr] = true
	if c, err := r.Cookie(cookieName); err == nil {
		f.seen[c.Value] = true
		if f.lost[c.Value] {
			r.Header.Del("Cookie")
		}
	}
}

// refused asks for the time with the request's cookie: a real host wants a session for queries too.
func (f *front) refused(r *http.Request) *httptest.ResponseRecorder {
	const ask = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25">` +
		`<_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`
	q := httptest.NewRequest(http.MethodPost, vim25.Path, strings.NewReader(ask))
	q.Header = r.Header
	answer := httptest.NewRecorder()
	f.inner.ServeHTTP(answer, q)
	if answer.Code == http.StatusOK {
		return nil
	}
	return answer
}

func relay(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (f *front) cancel(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	stop, ok := f.running[id]
	if ok {
		delete(f.running, id)
		close(stop)
	}
	return ok
}

// stretch turns a finished task back into a running one, and finishes it -task-time later.
func (f *front) stretch(id string) {
	ref := types.ManagedObjectReference{Type: "Task", Value: id}
	task, ok := simulator.Map.Get(ref).(*simulator.Task)
	if !ok {
		return
	}
	end := task.Info
	set := func(changes ...types.PropertyChange) {
		simulator.Map.WithLock(task, func() { simulator.Map.Update(task, changes) })
	}
	set(types.PropertyChange{Name: "info.state", Val: types.TaskInfoStateRunning},
		types.PropertyChange{Name: "info.cancelable", Val: true},
		types.PropertyChange{Name: "info.progress", Val: int32(0)},
		types.PropertyChange{Name: "info.completeTime", Val: nil},
		types.PropertyChange{Name: "info.result", Val: nil},
		types.PropertyChange{Name: "info.error", Val: nil})
	stop := make(chan struct{})
	f.mu.Lock()
	f.running[id] = stop
	f.mu.Unlock()
	go func() {
		for done := int32(10); done <= 100; done += 10 {
			select {
			case <-stop:
				end.State, end.Result = types.TaskInfoStateError, nil
				end.Error = &types.LocalizedMethodFault{
					Fault: new(types.RequestCanceled), LocalizedMessage: "The task was canceled by a user."}
				done = 100
			case <-time.After(*taskTime / 10):
				set(types.PropertyChange{Name: "info.progress", Val: done})
			}
		}
		f.mu.Lock()
		delete(f.running, id)
		f.mu.Unlock()
		changes := []types.PropertyChange{
			{Name: "info.completeTime", Val: time.Now()},
			{Name: "info.result", Val: end.Result},
			{Name: "info.state", Val: end.State},
		}
		if end.Error != nil {
			changes = append(changes, types.PropertyChange{Name: "info.error", Val: *end.Error})
		}
		set(changes...)
	}()
}

// furnish gives the inventory what the model lacks: guests with an address, and namesakes.
func furnish(c *vim25.Client) error {
	ctx := context.Background()
	finder := find.NewFinder(c)
	dc, err := finder.DefaultDatacenter(ctx)
	if err != nil {
		return err
	}
	all, err := finder.SetDatacenter(dc).VirtualMachineList(ctx, "*")
	if err != nil {
		return err
	}
	wait := func(task *object.Task, err error) error {
		if err != nil {
			return err
		}
		return task.Wait(ctx)
	}
	for i := 0; i < *guests && i < len(all); i++ {
		spec := types.VirtualMachineConfigSpec{}
		for k, v := range map[string]string{
			"guest.ipAddress":          fmt.Sprintf("10.0.0.%d", 10+i),
			"guest.hostName":           fmt.Sprintf("guest%d", i),
			"guest.toolsRunningStatus": "guestToolsRunning",
		} {
			spec.ExtraConfig = append(spec.ExtraConfig, &types.OptionValue{Key: "SET." + k, Value: v})
		}
		if err := wait(all[i].Reconfigure(ctx, spec)); err != nil {
			return err
		}
	}
	if !*twins || len(all) < 2 {
		return nil
	}
	folders, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	folder, err := folders.VmFolder.CreateFolder(ctx, "twins")
	if err != nil {
		return err
	}
	last := all[len(all)-1]
	if err := wait(folder.MoveInto(ctx, []types.ManagedObjectReference{last.Reference()})); err != nil {
		return err
	}
	return wait(last.Rename(ctx, all[0].Name()))
}

// beside is a file next to this program, if it is there.
func beside(name string) string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	path := filepath.Join(filepath.Dir(exe), name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func run() error {
	var model *simulator.Model
	switch *kind {
	case "esx":
		model = simulator.ESX()
		if *vms > 0 {
			model.Machine = *vms
		}
	case "vpx":
		model = simulator.VPX()
		model.Host = *hosts
		if *vms > 0 { // a share for each standalone host and for the cluster
			model.Machine = (*vms + *hosts) / (*hosts + 1)
		}
	default:
		return fmt.Errorf("-model is esx or vpx, not %q", *kind)
	}
	model.Datastore = *stores
	simulator.SessionIdleTimeout = *idle
	simulator.Trace = *trace
	if !*trace {
		log.SetOutput(io.Discard)
	}
	end := make(chan os.Signal, 1) // before the model, which leaves folders behind if it is cut short
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	defer model.Remove()
	if err := model.Create(); err != nil {
		return err
	}
	inside, err := vim25.NewClient(context.Background(), model.Service)
	if err == nil {
		err = furnish(inside)
	}
	if err != nil {
		return err
	}
	model.DelayConfig.Delay = *delay
	model.DelayConfig.MethodDelay = map[string]int{}
	for _, d := range strings.FieldsFunc(*delays, func(c rune) bool { return c == ',' }) {
		at := strings.LastIndex(d, ":")
		ms, err := strconv.Atoi(d[at+1:])
		if at < 1 || err != nil {
			return fmt.Errorf("-method-delay: %q is not NAME:MILLISECONDS", d)
		}
		model.DelayConfig.MethodDelay[d[:at]] = ms
	}
	if !*noTLS {
		if *cert == "" && *key == "" {
			*cert, *key = beside("cert.pem"), beside("key.pem")
		}
		model.Service.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if *cert != "" {
			pair, err := tls.LoadX509KeyPair(*cert, *key)
			if err != nil {
				return err
			}
			model.Service.TLS.Certificates = []tls.Certificate{pair}
		}
	}
	model.Service.Listen = &url.URL{Host: *listen, User: url.UserPassword(*user, *password)}
	model.Service.RegisterEndpoints = *kind == "vpx"

	server := model.Service.NewServer()
	f := &front{inner: server.Config.Handler, seen: map[string]bool{}, lost: map[string]bool{}, running: map[string]chan struct{}{}}
	f.reset()
	server.Config.Handler = f
	fmt.Printf("%s://%s%s\n", server.URL.Scheme, server.URL.Host, server.URL.Path)

	if *untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			end <- syscall.SIGTERM
		}()
	}
	<-end
	return nil
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "vcsim: %s\n", err)
		os.Exit(1)
	}
}
