"""The host: services, time, firewall, networks, storage, options, hardware; counters and events."""

import datetime

from pyVmomi import vim, vmodl

from sim_checks import both, check, refused, same


@check("services are listed, started, stopped, and keep their policy")
def services(server):
    system = server.host.configManager.serviceSystem

    def service(key):
        return next(it for it in system.serviceInfo.service if it.key == key)

    assert service("TSM-SSH").label
    system.StartService("TSM-SSH")
    same(service("TSM-SSH").running, True)
    system.UpdateServicePolicy("TSM-SSH", "on")
    same(service("TSM-SSH").policy, "on")
    system.RestartService("TSM-SSH")
    system.StopService("TSM-SSH")
    same(service("TSM-SSH").running, False)
    with refused(vim.fault.NotFound):
        system.StartService("no-such-service")
    same(server.host.config.service.service[0].key, system.serviceInfo.service[0].key)


@check("time servers are set and read")
def ntp(server):
    system = server.host.configManager.dateTimeSystem
    config = vim.host.NtpConfig(server=["0.pool.ntp.org", "10.0.0.1"])
    system.UpdateConfig(vim.host.DateTimeConfig(ntpConfig=config))
    same(list(system.dateTimeInfo.ntpConfig.server), ["0.pool.ntp.org", "10.0.0.1"])
    assert abs((system.QueryDateTime() - server.si.CurrentTime()).total_seconds()) < 5
    same(system.dateTimeInfo.timeZone.name, "UTC")


@check("firewall rule sets are switched and restricted")
def firewall(server):
    system = server.host.configManager.firewallSystem

    def ruleset(key):
        return next(it for it in system.firewallInfo.ruleset if it.key == key)

    system.EnableRuleset("sshServer")
    same(ruleset("sshServer").enabled, True)
    addresses = vim.host.Ruleset.IpList(allIp=False, ipNetwork=[vim.host.Ruleset.IpNetwork(network="10.0.0.0", prefixLength=8)])
    system.UpdateRuleset("sshServer", vim.host.Ruleset.RulesetSpec(allowedHosts=addresses))
    same(ruleset("sshServer").allowedHosts.ipNetwork[0].network, "10.0.0.0")
    system.DisableRuleset("sshServer")
    same(ruleset("sshServer").enabled, False)
    assert ruleset("sshServer").rule[0].port, ruleset("sshServer").rule
    with refused(vim.fault.NotFound):
        system.EnableRuleset("no-such-rules")


@check("advanced options have types and limits")
def options(server):
    setting = server.host.configManager.advancedOption
    (old,) = setting.QueryOptions("UserVars.ESXiShellTimeOut")
    from pyVmomi.VmomiSupport import long

    setting.UpdateOptions([vim.option.OptionValue(key=old.key, value=long(600))])
    same(setting.QueryOptions(old.key)[0].value, 600)
    assert len(setting.QueryOptions("UserVars.")) > 1
    with refused(vim.fault.InvalidName):
        setting.QueryOptions("No.Such.Option")
    with refused(vmodl.fault.InvalidArgument):
        setting.UpdateOptions([vim.option.OptionValue(key=old.key, value=long(-5))])
    with refused(vmodl.fault.InvalidArgument):
        setting.UpdateOptions([vim.option.OptionValue(key=old.key, value="ten")])


@check("networks: a switch and a port group are made and taken away")
def networks(server):
    system = server.host.configManager.networkSystem
    system.AddVirtualSwitch("vSwitch9", vim.host.VirtualSwitch.Specification(numPorts=128))
    spec = vim.host.PortGroup.Specification(name="Test", vlanId=42, vswitchName="vSwitch9", policy=vim.host.NetworkPolicy())
    system.AddPortGroup(spec)
    same([it.spec.vlanId for it in system.networkInfo.portgroup if it.spec.name == "Test"], [42])
    assert "Test" in [it.name for it in server.all(vim.Network)]
    with refused(vim.fault.AlreadyExists, vim.fault.DuplicateName):
        system.AddPortGroup(spec)
    system.RemovePortGroup("Test")
    system.RemoveVirtualSwitch("vSwitch9")
    assert "Test" not in [it.name for it in server.all(vim.Network)]
    with refused(vim.fault.NotFound):
        system.RemovePortGroup("Test")


@both("hardware and summaries of the host")
def hardware(server):
    host = server.host
    summary = host.summary
    assert summary.hardware.numCpuCores > 0 and summary.hardware.memorySize > 1 << 30
    assert summary.config.product.version.startswith("8."), summary.config.product
    same((host.runtime.connectionState, host.runtime.inMaintenanceMode), ("connected", False))
    assert host.config.network.pnic and host.config.network.vnic
    assert summary.quickStats.overallCpuUsage > 0 and summary.quickStats.uptime > 0
    assert len(server.all(vim.ResourcePool)) >= 1


@check("maintenance mode is entered only without running machines")
def maintenance(server):
    host = server.host
    running = [it for it in server.all(vim.VirtualMachine) if it.runtime.powerState == "poweredOn"]
    for vm in running:
        if vm.runtime.question:
            vm.AnswerVM(vm.runtime.question.id, "0")
    for task in [it.PowerOff() for it in running]:
        server.wait(task)
    server.wait(host.EnterMaintenanceMode(0, True, None))
    same(host.runtime.inMaintenanceMode, True)
    with refused(vim.fault.InvalidHostState):
        server.wait(server.vm("web01").PowerOn())
    server.wait(host.ExitMaintenanceMode(0))
    server.wait(server.vm("web01").PowerOn())


@both("counters: names, metrics, samples as numbers and as CSV")
def performance(server):
    manager = server.content.perfManager
    counters = {f"{it.groupInfo.key}.{it.nameInfo.key}.{it.rollupType}": it for it in manager.perfCounter}
    usage = counters["cpu.usage.average"]
    same(usage.unitInfo.key, "percent")
    same([it.key for it in manager.QueryPerfCounter([usage.key])], [usage.key])
    vm = server.vm("web01")
    provider = manager.QueryPerfProviderSummary(vm)
    same((provider.currentSupported, provider.refreshRate), (True, 20))
    available = manager.QueryAvailablePerfMetric(vm, None, None, 20)
    assert usage.key in [it.counterId for it in available], available
    metric = vim.PerformanceManager.MetricId(counterId=usage.key, instance="")

    def query(entity, form="normal", samples=5):
        spec = vim.PerformanceManager.QuerySpec(entity=entity, metricId=[metric], intervalId=20, maxSample=samples, format=form)
        return manager.QueryPerf([spec])

    for entity in (vm, server.host):
        (found,) = query(entity)
        same(found.entity._moId, entity._moId)
        same(len(found.sampleInfo), 5)
        (series,) = found.value
        same((series.id.counterId, len(series.value)), (usage.key, 5))
        assert all(0 <= it <= 10000 for it in series.value), series.value
        assert len(set(query(entity, samples=60)[0].value[0].value)) > 1, "the counter does not move"
        times = [it.timestamp for it in found.sampleInfo]
        same({(after - before).total_seconds() for before, after in zip(times, times[1:])}, {20.0})
    (csv,) = query(vm, "csv", 3)
    same((len(csv.sampleInfoCSV.split(",")), len(csv.value[0].value.split(","))), (6, 3))
    off = query(server.vm("test01"))
    assert not off or not off[0].value or set(off[0].value[0].value) <= {0, -1}, off
    with refused(vmodl.fault.InvalidArgument):
        metric = vim.PerformanceManager.MetricId(counterId=999_999, instance="")
        query(vm)


@both("events: what was done is told, by query and by collector")
def events(server):
    manager, vm = server.content.eventManager, server.vm("test01")
    begun = server.si.CurrentTime() - datetime.timedelta(seconds=1)
    server.wait(vm.PowerOn())
    server.wait(vm.Rename("test99"))
    by = vim.event.EventFilterSpec.ByEntity(entity=vm, recursion="self")
    spec = vim.event.EventFilterSpec(entity=by, time=vim.event.EventFilterSpec.ByTime(beginTime=begun))
    found = manager.QueryEvents(spec)
    kinds = [type(it) for it in found]
    assert vim.event.VmPoweredOnEvent in kinds and vim.event.VmRenamedEvent in kinds, kinds
    event = next(it for it in found if isinstance(it, vim.event.VmPoweredOnEvent))
    same((event.vm.vm._moId, event.userName), (vm._moId, server.user))
    assert event.fullFormattedMessage and event.key > 0 and event.chainId > 0, event
    assert event.host.host._moId == vm.runtime.host._moId
    spec.type = [vim.event.VmPoweredOnEvent]
    same([type(it) for it in manager.QueryEvents(spec)], [vim.event.VmPoweredOnEvent])
    same(manager.latestEvent.key, max(it.key for it in manager.QueryEvents(vim.event.EventFilterSpec())))
    collector = manager.CreateCollectorForEvents(vim.event.EventFilterSpec(entity=by))
    collector.SetCollectorPageSize(10)
    assert [it for it in collector.latestPage if isinstance(it, vim.event.VmRenamedEvent)], "not in the page"
    collector.ResetCollector()
    same(list(collector.ReadPreviousEvents(100)), [], "what is before a page that has everything")
    collector.RewindCollector()
    same(list(collector.ReadPreviousEvents(100)), [], "what is before the oldest")
    first = collector.ReadNextEvents(1)
    same(len(first), 1)
    server.wait(vm.PowerOff())
    while True:
        more = collector.ReadNextEvents(100)
        if not more:
            break
        first += more
    same(type(first[-1]), vim.event.VmPoweredOffEvent)
    collector.Remove()
    with refused(vmodl.fault.ManagedObjectNotFound):
        collector.ReadNextEvents(1)


@check("a host keeps no history of tasks")
def no_history(server):
    with refused(vmodl.fault.NotSupported):
        server.content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec())


@check("tasks of the past are read by a collector", "vcenter")
def tasks(server):
    manager, vm = server.content.taskManager, server.vm("test01")
    server.wait(vm.PowerOn())
    server.wait(vm.Rename("test99"))
    by = vim.TaskFilterSpec.ByEntity(entity=vm, recursion="self")
    collector = manager.CreateCollectorForTasks(vim.TaskFilterSpec(entity=by))
    collector.RewindCollector()
    infos = collector.ReadNextTasks(100)
    same([it.descriptionId for it in infos], ["VirtualMachine.powerOn", "VirtualMachine.rename"])
    same({it.state for it in infos}, {"success"})
    collector.Remove()


@check("licences and accounts are listed")
def licences(server):
    assert server.content.licenseManager.licenses[0].editionKey
    assert server.content.authorizationManager.roleList
    assert [it for it in server.content.authorizationManager.RetrieveAllPermissions() if it.principal == "root"]


@check("autostart is configured")
def autostart(server):
    manager, vm = server.host.configManager.autoStartManager, server.vm("web01")
    info = vim.host.AutoStartManager.AutoPowerInfo(
        key=vm, startOrder=1, startDelay=-1, waitForHeartbeat="systemDefault", startAction="powerOn",
        stopDelay=-1, stopAction="systemDefault",
    )  # fmt: skip
    defaults = vim.host.AutoStartManager.SystemDefaults(enabled=True, startDelay=30)
    manager.ReconfigureAutostart(vim.host.AutoStartManager.Config(defaults=defaults, powerInfo=[info]))
    same((manager.config.defaults.enabled, manager.config.powerInfo[0].key._moId), (True, vm._moId))
