// What is asked of the simulated servers.
package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/guest"
	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/performance"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/progress"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func checks() []check {
	var all []check
	add := func(name string, run func(*server), kinds ...string) {
		for _, kind := range kinds {
			all = append(all, check{name, kind, run})
		}
	}
	add("login, about, logout", login, "esxi", "vcenter")
	add("the finder walks the inventory", finder, "esxi", "vcenter")
	add("views and the property collector", collector, "esxi", "vcenter")
	add("power, and a wait for it", power, "esxi", "vcenter")
	add("a machine is made, changed and destroyed", life, "esxi", "vcenter")
	add("snapshots", snapshots, "esxi", "vcenter")
	add("register and unregister", register, "esxi", "vcenter")
	add("clone", clone, "vcenter")
	add("clone is refused by a host", cloneRefused, "esxi")
	add("OVF import and export by nfc", appliance, "esxi", "vcenter")
	add("datastore files", files, "esxi", "vcenter")
	add("programs and files in a guest", inside, "esxi", "vcenter")
	add("events", events, "esxi", "vcenter")
	add("performance counters", counters, "esxi", "vcenter")
	add("services, firewall, options of a host", host, "esxi")
	add("a task is cancelled", cancel, "esxi", "vcenter")
	return all
}

func login(s *server) {
	about := s.ServiceContent.About
	same(s.IsVC(), s.kind == "vcenter", "IsVC")
	holds(strings.HasPrefix(about.ApiVersion, "8.0"), "API version", about.ApiVersion)
	now, err := s.SessionManager.UserSession(ctx)
	must(err, "UserSession")
	same(now.UserName, s.user, "user")
	_, err = s.login(s.user, "wrong")
	refused(err, "InvalidLogin")
	other, err := s.login("viewer", "secret")
	must(err, "login as viewer")
	_, err = object.NewVirtualMachine(other.Client, s.vm("web01").Reference()).PowerOff(ctx)
	refused(err, "NoPermission")
	must(other.Logout(ctx), "logout")
	_, err = object.NewVirtualMachine(other.Client, s.vm("web01").Reference()).PowerOff(ctx)
	refused(err, "NotAuthenticated")
	pinned, err := s.pinned(s.sha1())
	must(err, "a client with a fingerprint")
	same(pinned.ServiceContent.About.ApiType, about.ApiType, "API type")
	_, err = s.pinned(strings.Repeat("00:", 19) + "00")
	holds(err != nil, "a wrong fingerprint was taken")
	// A client that speaks the server's own version, and an old one.
	must(pinned.UseServiceVersion(), "service version")
	holds(strings.HasPrefix(pinned.Version, "8.0"), "version", pinned.Version)
	_, err = methods.GetServiceContent(ctx, pinned)
	must(err, "service content by the service's version")
	_, err = methods.GetCurrentTime(ctx, s)
	must(err, "time")
}

func finder(s *server) {
	all, err := s.find.VirtualMachineList(ctx, "*")
	must(err, "machines")
	holds(len(all) >= 12, "machines", len(all))
	web, err := s.find.VirtualMachineList(ctx, "web*")
	must(err, "web*")
	same(len(web), 2, "web*")
	_, err = s.find.VirtualMachine(ctx, "no such")
	holds(err != nil, "found what is not there")
	holds(strings.HasSuffix(poolPath(s), "/Resources"), "the pool's path", poolPath(s))
	store, err := s.find.Datastore(ctx, "datastore1")
	must(err, "datastore")
	same(store.Name(), "datastore1", "name")
	_, err = s.find.Network(ctx, "VM Network")
	must(err, "network")
	hosts, err := s.find.HostSystemList(ctx, "*/*")
	must(err, "hosts")
	holds(len(hosts) >= 1, "hosts")
	folders, err := s.find.DefaultFolder(ctx)
	must(err, "folder")
	children, err := folders.Children(ctx)
	must(err, "children")
	holds(len(children) > 2, "children", len(children))
	found, err := object.NewSearchIndex(s.Client.Client).FindByInventoryPath(ctx, web[0].InventoryPath)
	must(err, "by path")
	holds(found != nil, "not found by path", web[0].InventoryPath)
	same(found.Reference(), web[0].Reference(), "by path")
}

func collector(s *server) {
	manager := view.NewManager(s.Client.Client)
	all, err := manager.CreateContainerView(ctx, s.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	must(err, "view")
	var rows []mo.VirtualMachine
	must(all.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "summary", "config", "guest", "snapshot"}, &rows), "rows")
	holds(len(rows) >= 12, "rows", len(rows))
	for _, row := range rows {
		same(row.Summary.Config.Name, row.Name, "name")
		holds(row.Config != nil && len(row.Config.Hardware.Device) > 5, "devices of", row.Name)
	}
	// Whole objects too: every property must fit the types of the client.
	rows = nil
	must(all.Retrieve(ctx, []string{"VirtualMachine"}, nil, &rows), "whole machines")
	for kind, into := range map[string]interface{}{
		"HostSystem": &[]mo.HostSystem{}, "Datastore": &[]mo.Datastore{}, "Network": &[]mo.Network{},
		"ResourcePool": &[]mo.ResourcePool{}, "Folder": &[]mo.Folder{}, "Datacenter": &[]mo.Datacenter{},
		"ComputeResource": &[]mo.ComputeResource{},
	} {
		each, err := manager.CreateContainerView(ctx, s.ServiceContent.RootFolder, []string{kind}, true)
		must(err, kind)
		must(each.Retrieve(ctx, []string{kind}, nil, into), kind)
		must(each.Destroy(ctx), kind)
	}
	var one mo.VirtualMachine
	err = s.RetrieveOne(ctx, types.ManagedObjectReference{Type: "VirtualMachine", Value: "4711"}, []string{"name"}, &one)
	refused(err, "ManagedObjectNotFound")
	err = s.RetrieveOne(ctx, rows[0].Self, []string{"nosuch"}, &one)
	refused(err, "InvalidProperty")
	filter := property.Filter{"runtime.powerState": types.VirtualMachinePowerStatePoweredOff}
	off, err := all.Find(ctx, []string{"VirtualMachine"}, filter)
	must(err, "find by property")
	holds(len(off) >= 3, "powered off", len(off))
	must(all.Destroy(ctx), "destroying a view")
}

func power(s *server) {
	vm := s.vm("test01")
	refused(ended(vm.PowerOff(ctx)), "InvalidPowerState")
	done(vm.PowerOn(ctx))
	must(vm.WaitForPowerState(ctx, types.VirtualMachinePowerStatePoweredOn), "wait for power")
	done(vm.Suspend(ctx))
	done(vm.PowerOn(ctx))
	done(vm.Reset(ctx))
	done(vm.PowerOff(ctx))
	web := s.vm("web01")
	soon, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	address, err := web.WaitForIP(soon)
	must(err, "wait for an address")
	same(address, "10.20.0.11", "address")
	cards, err := web.WaitForNetIP(soon, true)
	must(err, "wait for the cards' addresses")
	same(len(cards), 1, "cards")
	running, err := web.IsToolsRunning(ctx)
	must(err, "tools")
	same(running, true, "tools")
	must(web.ShutdownGuest(ctx), "shutdown")
	must(web.WaitForPowerState(soon, types.VirtualMachinePowerStatePoweredOff), "shutdown")
}

// made is a machine with a controller, a disk and a card.
func made(s *server) *object.VirtualMachine {
	var list object.VirtualDeviceList
	scsi, err := list.CreateSCSIController("pvscsi")
	must(err, "controller")
	list = append(list, scsi)
	store, err := s.find.Datastore(ctx, "datastore1")
	must(err, "datastore")
	disk := list.CreateDisk(scsi.(types.BaseVirtualController), store.Reference(), "")
	disk.CapacityInKB = 1 << 20
	list = append(list, disk)
	network, err := s.find.Network(ctx, "VM Network")
	must(err, "network")
	backing, err := network.EthernetCardBackingInfo(ctx)
	must(err, "backing")
	card, err := list.CreateEthernetCard("vmxnet3", backing)
	must(err, "card")
	list = append(list, card)
	change, err := list.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	must(err, "spec")
	spec := types.VirtualMachineConfigSpec{
		Name: "new01", GuestId: "debian12_64Guest", NumCPUs: 2, MemoryMB: 2048, DeviceChange: change,
		Files: &types.VirtualMachineFileInfo{VmPathName: "[datastore1]"},
	}
	folder, err := s.find.DefaultFolder(ctx)
	must(err, "folder")
	pool, err := s.find.ResourcePool(ctx, poolPath(s))
	must(err, "pool")
	info := done(folder.CreateVM(ctx, spec, pool, nil))
	return object.NewVirtualMachine(s.Client.Client, info.Result.(types.ManagedObjectReference))
}

func poolPath(s *server) string {
	all, err := s.find.ResourcePoolList(ctx, "*/Resources")
	must(err, "pools")
	return all[0].InventoryPath
}

func life(s *server) {
	vm := made(s)
	list, err := vm.Device(ctx)
	must(err, "devices")
	disks := list.SelectByType((*types.VirtualDisk)(nil))
	same(len(disks), 1, "disks")
	same(list.Name(disks[0]), "disk-1000-0", "name")
	card := list.SelectByType((*types.VirtualEthernetCard)(nil))[0].(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
	holds(card.MacAddress != "", "no address")
	done(vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{MemoryMB: 4096, Annotation: "a <note>"}))
	controller, err := list.FindDiskController("")
	must(err, "controller")
	store, err := s.find.Datastore(ctx, "datastore1")
	must(err, "datastore")
	second := list.CreateDisk(controller, store.Reference(), "")
	second.CapacityInKB = 2 << 20
	must(vm.AddDevice(ctx, second), "adding a disk")
	list, err = vm.Device(ctx)
	must(err, "devices")
	disks = list.SelectByType((*types.VirtualDisk)(nil))
	same(len(disks), 2, "disks")
	added := disks[1].(*types.VirtualDisk)
	added.CapacityInKB = 3 << 20
	added.CapacityInBytes = 0
	must(vm.EditDevice(ctx, added), "growing a disk")
	must(vm.RemoveDevice(ctx, false, added), "removing a disk")
	drive, err := list.CreateCdrom(sata(vm))
	must(err, "drive")
	must(store.Upload(ctx, strings.NewReader("no image"), "new01/a.iso", nil), "upload")
	must(vm.AddDevice(ctx, list.InsertIso(drive, store.Path("new01/a.iso"))), "adding a drive")
	var row mo.VirtualMachine
	must(s.RetrieveOne(ctx, vm.Reference(), []string{"config", "layoutEx", "summary"}, &row), "row")
	same(row.Config.Hardware.MemoryMB, 4096, "memory")
	same(row.Config.Annotation, "a <note>", "note")
	done(vm.Rename(ctx, "new02"))
	name, err := vm.ObjectName(ctx)
	must(err, "name")
	same(name, "new02", "name")
	boot := types.VirtualMachineBootOptions{BootDelay: 1000}
	must(vm.SetBootOptions(ctx, &boot), "boot options")
	read, err := vm.BootOptions(ctx)
	must(err, "boot options")
	same(read.BootDelay, 1000, "delay")
	done(vm.Destroy(ctx))
	_, err = vm.PowerState(ctx)
	refused(err, "ManagedObjectNotFound")
}

// sata gives the machine a controller for drives.
func sata(vm *object.VirtualMachine) *types.VirtualIDEController {
	list, err := vm.Device(ctx)
	must(err, "devices")
	for _, one := range list {
		if ide, is := one.(*types.VirtualIDEController); is {
			return ide
		}
	}
	panic(failure("a new machine has no IDE controller"))
}

func snapshots(s *server) {
	vm := made(s)
	info := done(vm.CreateSnapshot(ctx, "first", "text", false, false))
	first := info.Result.(types.ManagedObjectReference)
	done(vm.CreateSnapshot(ctx, "second", "", false, false))
	found, err := vm.FindSnapshot(ctx, "first/second")
	must(err, "by path")
	holds(*found != first, "the wrong snapshot")
	var row mo.VirtualMachine
	must(s.RetrieveOne(ctx, vm.Reference(), []string{"snapshot", "layoutEx"}, &row), "row")
	same(row.Snapshot.CurrentSnapshot, found, "current")
	done(vm.RevertToSnapshot(ctx, "first", true))
	done(vm.RevertToCurrentSnapshot(ctx, true))
	done(vm.RemoveSnapshot(ctx, "first", false, nil))
	_, err = vm.FindSnapshot(ctx, "first")
	holds(err != nil, "a removed snapshot was found")
	done(vm.RemoveAllSnapshot(ctx, types.NewBool(true)))
	row = mo.VirtualMachine{}
	must(s.RetrieveOne(ctx, vm.Reference(), []string{"snapshot"}, &row), "row")
	holds(row.Snapshot == nil, "snapshots are left")
}

func register(s *server) {
	vm := made(s)
	must(vm.Unregister(ctx), "unregister")
	folder, err := s.find.DefaultFolder(ctx)
	must(err, "folder")
	pool, err := s.find.ResourcePool(ctx, poolPath(s))
	must(err, "pool")
	done(folder.RegisterVM(ctx, "[datastore1] new01/new01.vmx", "again", false, pool, nil))
	list, err := s.vm("again").Device(ctx)
	must(err, "devices")
	same(len(list.SelectByType((*types.VirtualDisk)(nil))), 1, "disks")
	refused(ended(folder.RegisterVM(ctx, "[datastore1] no/no.vmx", "", false, pool, nil)), "NotFound", "FileNotFound")
}

func cloneSpec(s *server) types.VirtualMachineCloneSpec {
	pool, err := s.find.ResourcePool(ctx, poolPath(s))
	must(err, "pool")
	at := pool.Reference()
	return types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Pool: &at}}
}

func clone(s *server) {
	vm := made(s)
	folder, err := s.find.DefaultFolder(ctx)
	must(err, "folder")
	done(vm.Clone(ctx, folder, "copy", cloneSpec(s)))
	copied := s.vm("copy")
	holds(copied.UUID(ctx) != vm.UUID(ctx) && copied.UUID(ctx) != "", "the same UUID")
	must(copied.MarkAsTemplate(ctx), "template")
	is, err := copied.IsTemplate(ctx)
	must(err, "template")
	same(is, true, "template")
	inner, err := folder.CreateFolder(ctx, "Inner")
	must(err, "folder")
	done(inner.MoveInto(ctx, []types.ManagedObjectReference{copied.Reference()}))
	found, err := s.find.VirtualMachine(ctx, "Inner/copy")
	must(err, "by path")
	same(found.Reference(), copied.Reference(), "by path")
}

func cloneRefused(s *server) {
	folder, err := s.find.DefaultFolder(ctx)
	must(err, "folder")
	refused(ended(s.vm("test01").Clone(ctx, folder, "copy", cloneSpec(s))), "NotSupported")
}

// appliance exports a machine, and imports what came out.
func appliance(s *server) {
	vm := made(s)
	lease, err := vm.Export(ctx)
	must(err, "export")
	info, err := lease.Wait(ctx, nil)
	must(err, "lease")
	updater := lease.StartUpdater(ctx, info)
	file, err := os.CreateTemp("", "judge-*.vmdk")
	must(err, "a file")
	defer os.Remove(file.Name())
	var disks []types.OvfFile
	for _, item := range info.Items {
		if !strings.HasSuffix(item.Path, ".vmdk") {
			continue
		}
		must(lease.DownloadFile(ctx, file.Name(), item, soap.Download{}), "download of "+item.Path)
		written, err := file.Stat()
		must(err, "size")
		one := item.File()
		one.Size, one.Path = written.Size(), "disk-0.vmdk"
		disks = append(disks, one)
	}
	updater.Done()
	same(len(disks), 1, "disks")
	must(lease.GetManifest(ctx), "manifest")
	manager := ovf.NewManager(s.Client.Client)
	out, err := manager.CreateDescriptor(ctx, vm, types.OvfCreateDescriptorParams{OvfFiles: disks, Name: "new01"})
	must(err, "descriptor")
	same(len(out.Error), 0, "errors")
	must(lease.Complete(ctx), "complete")
	envelope, err := ovf.Unmarshal(strings.NewReader(out.OvfDescriptor))
	must(err, "the descriptor, as govmomi reads it")
	same(len(envelope.References), 1, "references")
	same(envelope.VirtualSystem.Name != nil || envelope.VirtualSystem.ID != "", true, "name")

	again, entity := imported(s, manager, out.OvfDescriptor, "again")
	updater = again.StartUpdater(ctx, entity)
	same(len(entity.Items), 1, "items")
	body, err := os.Open(file.Name())
	must(err, "file")
	defer body.Close()
	must(again.Upload(ctx, entity.Items[0], body, soap.Upload{ContentLength: disks[0].Size}), "upload")
	must(again.Progress(ctx, 100), "progress")
	updater.Done()
	must(again.GetManifest(ctx), "manifest")
	must(again.Complete(ctx), "complete")
	done(s.vm("again").PowerOn(ctx))

	third, left := imported(s, manager, out.OvfDescriptor, "third")
	must(third.Abort(ctx, nil), "abort")
	var row mo.VirtualMachine
	refused(s.RetrieveOne(ctx, left.Entity, []string{"name"}, &row), "ManagedObjectNotFound")
}

func imported(s *server, manager *ovf.Manager, text, name string) (*nfc.Lease, *nfc.LeaseInfo) {
	pool, err := s.find.ResourcePool(ctx, poolPath(s))
	must(err, "pool")
	store, err := s.find.Datastore(ctx, "datastore1")
	must(err, "datastore")
	network, err := s.find.Network(ctx, "Lab")
	must(err, "network")
	params := types.OvfCreateImportSpecParams{
		EntityName: name, DiskProvisioning: "thin",
		NetworkMapping: []types.OvfNetworkMapping{{Name: "VM Network", Network: network.Reference()}},
	}
	spec, err := manager.CreateImportSpec(ctx, text, pool, store, params)
	must(err, "import spec")
	same(len(spec.Error), 0, "errors")
	folder, err := s.find.DefaultFolder(ctx)
	must(err, "folder")
	lease, err := pool.ImportVApp(ctx, spec.ImportSpec, folder, nil)
	must(err, "import")
	info, err := lease.Wait(ctx, spec.FileItem)
	must(err, "lease")
	return lease, info
}

func files(s *server) {
	store, err := s.find.Datastore(ctx, "datastore1")
	must(err, "datastore")
	centre, err := s.find.DefaultDatacenter(ctx)
	must(err, "datacenter")
	manager := object.NewFileManager(s.Client.Client)
	must(manager.MakeDirectory(ctx, store.Path("some dir"), centre, false), "directory")
	refused(manager.MakeDirectory(ctx, store.Path("some dir"), centre, false), "FileAlreadyExists")
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	must(store.Upload(ctx, bytes.NewReader(data), "some dir/a&b.iso", nil), "upload")
	body, size, err := store.Download(ctx, "some dir/a&b.iso", nil)
	must(err, "download")
	same(size, len(data), "size")
	holds(bytes.Equal(whole(body), data), "what came down is not what went up")
	about, err := store.Stat(ctx, "some dir/a&b.iso")
	must(err, "stat")
	same(about.GetFileInfo().FileSize, len(data), "size")
	_, err = store.Stat(ctx, "some dir/none")
	_, missing := err.(object.DatastoreNoSuchFileError)
	holds(missing, "stat of what is not there:", err)
	_, err = store.Stat(ctx, "nowhere/none")
	_, missing = err.(object.DatastoreNoSuchDirectoryError)
	holds(missing, "stat where nothing is:", err)
	opened, err := store.Open(ctx, "some dir/a&b.iso")
	must(err, "open")
	_, err = opened.Seek(-10, io.SeekEnd)
	must(err, "seek")
	tail, err := io.ReadAll(opened)
	must(err, "tail")
	same(string(tail), "0123456789", "tail")
	easy := store.NewFileManager(centre, true)
	must(easy.Copy(ctx, "some dir/a&b.iso", "b.iso"), "copy")
	must(easy.Move(ctx, "b.iso", "c.iso"), "move")
	must(easy.Delete(ctx, "c.iso"), "delete")
	disks := object.NewVirtualDiskManager(s.Client.Client)
	spec := types.FileBackedVirtualDiskSpec{
		VirtualDiskSpec: types.VirtualDiskSpec{DiskType: "thin", AdapterType: "lsiLogic"}, CapacityKb: 1 << 20,
	}
	done(disks.CreateVirtualDisk(ctx, store.Path("plain.vmdk"), centre, &spec))
	done(disks.DeleteVirtualDisk(ctx, store.Path("plain.vmdk"), centre))
	refused(ended(disks.DeleteVirtualDisk(ctx, store.Path("plain.vmdk"), centre)), "FileNotFound")
	browser, err := store.Browser(ctx)
	must(err, "browser")
	found := done(browser.SearchDatastoreSubFolders(ctx, store.Path(""), &types.HostDatastoreBrowserSearchSpec{MatchPattern: []string{"*.vmx"}}))
	holds(len(found.Result.(types.ArrayOfHostDatastoreBrowserSearchResults).HostDatastoreBrowserSearchResults) > 5, "machines' files")
}

func inside(s *server) {
	vm := s.vm("web01")
	auth := &types.NamePasswordAuthentication{Username: "root", Password: "secret"}
	tools := guest.NewOperationsManager(s.Client.Client, vm.Reference())
	checker, err := tools.AuthManager(ctx)
	must(err, "auth manager")
	must(checker.ValidateCredentials(ctx, auth), "credentials")
	refused(checker.ValidateCredentials(ctx, &types.NamePasswordAuthentication{Username: "root", Password: "x"}), "InvalidGuestLogin")
	processes, err := tools.ProcessManager(ctx)
	must(err, "process manager")
	transfers, err := tools.FileManager(ctx)
	must(err, "file manager")
	pid, err := processes.StartProgram(ctx, auth, &types.GuestProgramSpec{ProgramPath: "/bin/echo", Arguments: "hi > /tmp/out"})
	must(err, "start")
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		rows, err := processes.ListProcesses(ctx, auth, []int64{pid})
		must(err, "processes")
		same(len(rows), 1, "processes")
		if rows[0].EndTime != nil {
			same(rows[0].ExitCode, 0, "exit code")
			break
		}
		holds(time.Now().Before(until), "it does not end")
	}
	info, err := transfers.InitiateFileTransferFromGuest(ctx, auth, "/tmp/out")
	must(err, "from the guest")
	at, err := transfers.TransferURL(ctx, info.Url)
	must(err, "address")
	body, _, err := s.Download(ctx, at, &soap.DefaultDownload)
	must(err, "download")
	same(string(whole(body)), "hi\n", "output")
	data := []byte("some text")
	to, err := transfers.InitiateFileTransferToGuest(ctx, auth, "/tmp/in", &types.GuestPosixFileAttributes{}, int64(len(data)), true)
	must(err, "to the guest")
	at, err = transfers.TransferURL(ctx, to)
	must(err, "address")
	up := soap.DefaultUpload
	up.ContentLength = int64(len(data))
	must(s.Upload(ctx, bytes.NewReader(data), at, &up), "upload")
	list, err := transfers.ListFiles(ctx, auth, "/tmp/in", 0, 0, "")
	must(err, "list")
	same(list.Files[0].Size, len(data), "size")
	must(transfers.DeleteFile(ctx, auth, "/tmp/in"), "delete")
	refused(transfers.DeleteFile(ctx, auth, "/tmp/in"), "FileNotFound")
}

func events(s *server) {
	vm := s.vm("test01")
	manager := event.NewManager(s.Client.Client)
	done(vm.PowerOn(ctx))
	filter := types.EventFilterSpec{
		Entity: &types.EventFilterSpecByEntity{Entity: vm.Reference(), Recursion: types.EventFilterSpecRecursionOptionAll},
	}
	all, err := manager.QueryEvents(ctx, filter)
	must(err, "query")
	found := false
	for _, one := range all {
		_, is := one.(*types.VmPoweredOnEvent)
		found = found || is
	}
	holds(found, "no VmPoweredOnEvent among", len(all))
	category, err := manager.EventCategory(ctx, all[len(all)-1])
	must(err, "category")
	same(category, "info", "category")
	seen := 0
	must(manager.Events(ctx, []types.ManagedObjectReference{vm.Reference()}, 10, false, false,
		func(_ types.ManagedObjectReference, page []types.BaseEvent) error {
			seen += len(page)
			return nil
		}), "by collector")
	holds(seen > 0, "no events by collector")
}

func counters(s *server) {
	manager := performance.NewManager(s.Client.Client)
	vm := s.vm("web01").Reference()
	byName, err := manager.CounterInfoByName(ctx)
	must(err, "counters")
	holds(byName["cpu.usage.average"] != nil, "no cpu.usage.average")
	summary, err := manager.ProviderSummary(ctx, vm)
	must(err, "provider")
	same(summary.RefreshRate, 20, "rate")
	_, err = manager.HistoricalInterval(ctx)
	must(err, "intervals")
	available, err := manager.AvailableMetric(ctx, vm, 20)
	must(err, "metrics")
	holds(len(available) > 3, "metrics", len(available))
	spec := types.PerfQuerySpec{MaxSample: 3, IntervalId: 20, MetricId: []types.PerfMetricId{{Instance: ""}}}
	sample, err := manager.SampleByName(ctx, spec, []string{"cpu.usage.average", "mem.consumed.average"}, []types.ManagedObjectReference{vm})
	must(err, "sample")
	rows, err := manager.ToMetricSeries(ctx, sample)
	must(err, "series")
	same(len(rows), 1, "entities")
	same(len(rows[0].Value), 2, "series")
	same(len(rows[0].Value[0].Value), 3, "values")
}

func host(s *server) {
	system, err := s.find.DefaultHostSystem(ctx)
	must(err, "host")
	manager := system.ConfigManager()
	services, err := manager.ServiceSystem(ctx)
	must(err, "services")
	must(services.Start(ctx, "TSM-SSH"), "start")
	all, err := services.Service(ctx)
	must(err, "list")
	running := false
	for _, one := range all {
		running = running || one.Key == "TSM-SSH" && one.Running
	}
	holds(running, "SSH does not run")
	firewall, err := manager.FirewallSystem(ctx)
	must(err, "firewall")
	must(firewall.EnableRuleset(ctx, "sshServer"), "enable")
	info, err := firewall.Info(ctx)
	must(err, "info")
	rules := object.HostFirewallRulesetList(info.Ruleset)
	holds(len(rules.Enabled()) > 0 && len(rules.Disabled()) > 0, "rules")
	options, err := manager.OptionManager(ctx)
	must(err, "options")
	read, err := options.Query(ctx, "UserVars.ESXiShellTimeOut")
	must(err, "query")
	same(len(read), 1, "options")
	must(options.Update(ctx, read), "update")
	network, err := manager.NetworkSystem(ctx)
	must(err, "network")
	must(network.AddVirtualSwitch(ctx, "vSwitch9", &types.HostVirtualSwitchSpec{NumPorts: 128}), "switch")
	must(network.AddPortGroup(ctx, types.HostPortGroupSpec{Name: "Test", VswitchName: "vSwitch9"}), "port group")
	_, err = s.find.Network(ctx, "Test")
	must(err, "the new network")
	clock, err := manager.DateTimeSystem(ctx)
	must(err, "clock")
	_, err = clock.Query(ctx)
	must(err, "time")
	pool, err := system.ResourcePool(ctx)
	must(err, "pool")
	holds(pool != nil, "no pool")
}

// percents keeps the progress that it is told.
type percents struct{ seen chan progress.Report }

func (p percents) Sink() chan<- progress.Report { return p.seen }

func cancel(s *server) {
	vm := s.vm("web01")
	started, err := vm.CreateSnapshot(ctx, "one", "", true, false)
	must(err, "snapshot")
	must(started.Cancel(ctx), "cancel")
	refused(started.Wait(ctx), "RequestCanceled")
	again, err := vm.CreateSnapshot(ctx, "two", "", true, false)
	must(err, "snapshot")
	told := percents{make(chan progress.Report, 1000)}
	_, err = again.WaitForResult(ctx, told)
	must(err, "snapshot")
	holds(len(told.seen) > 1, "no progress was told")
}
