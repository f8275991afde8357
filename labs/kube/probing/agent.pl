# Makes probes from inside a node: enters the network namespaces of pods by turns, and waits for thousands of sockets in
# one loop. It needs nothing but perl-base and knows no server: it sends the bytes that it is given and reports those
# that come back. `wire.py` writes its input and reads its output; the two lists of words there and here are one.
use strict;
use warnings;
use Errno ();
use Fcntl qw(O_RDONLY);
use POSIX ();
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);

# System calls that Perl has no name for, by architecture: setns, clock_gettime (from the kernel's tables).
my %CALLS = (
    x86_64  => [308, 228],
    aarch64 => [268, 113],
    riscv64 => [268, 113],
    ppc64le => [350, 246],
    s390x   => [339, 260],
);
my $NETWORK = 0x40000000;    # CLONE_NEWNET
my $MACHINE = (POSIX::uname())[4];
my ($SETNS, $CLOCK) = @{ $CALLS{$MACHINE} || [] };

my ($NONBLOCK, $CLOEXEC) = (0x800, 0x80000);    # of the architectures above
my ($SOL_IP, $IP_RECVERR, $SOL_IPV6, $IPV6_RECVERR) = (0, 11, 41, 25);
my %KIND = (TCP => [SOCK_STREAM, 6], UDP => [SOCK_DGRAM, 17], SCTP => [SOCK_STREAM, 132], ICMP => [SOCK_RAW, 1]);
my %NOT_YET = map { $_ => 1 } Errno::EAGAIN(), Errno::EINPROGRESS(), Errno::EALREADY(), Errno::EINTR();
# What counts as silence: this side's kernel dropped the packet (EPERM: by netfilter), or gave up waiting.
my %SILENT = map { $_ => 1 } Errno::EPERM(), Errno::ENOBUFS(), Errno::ETIMEDOUT();
my %FULL = map { $_ => 1 } Errno::EMFILE(), Errno::ENFILE(), Errno::ENOMEM();
my %NAME;
for my $name (keys %!) { $NAME{ Errno->can($name)->() } = $name }

my $LONGEST_TICK = 50;       # ms; a loop that was away longer has not listened, so that was no silence
my ($PORTS_FROM, $PORTS) = (32768, 28232);    # Linux' own range for outgoing ports
my (%limit, %place, @waiting, @held, %open, $window, $clock, $ticked, $cursor);
my $here = 0;                # the namespace that we are in

sub now {
    my $time = "\0" x 16;
    syscall($CLOCK, 1, $time);
    my ($seconds, $nanoseconds) = unpack "qq", $time;
    return $seconds * 1000 + $nanoseconds / 1e6;
}

sub hexed { return join ",", map { length $_ ? unpack "H*", $_ : "-" } @_ }

sub say_line { print join(" ", @_), "\n"; return }

# --- namespaces

sub enter {
    my ($namespace) = @_;
    return 1 if $here == $namespace;    # an outside host may not even enter its own
    return 0 if syscall($SETNS, fileno $namespace, $NETWORK) != 0;
    $here = $namespace;
    return 1;
}

sub opened {
    my ($path) = @_;
    my $file;
    return sysopen($file, $path, O_RDONLY) ? $file : undef;
}

sub domain { return $_[0] =~ /:/ ? AF_INET6 : AF_INET }

sub name_of {    # an address and a port, packed
    my ($address, $port) = @_;
    my $packed = inet_pton(domain($address), $address);
    return undef unless defined $packed;
    return domain($address) == AF_INET6 ? pack_sockaddr_in6($port, $packed) : pack_sockaddr_in($port, $packed);
}

sub is_here {    # whether an address belongs to the namespace that we are in
    my ($address) = @_;
    my $name = name_of($address, 0);
    return 0 unless defined $name && socket(my $probe, domain($address), SOCK_DGRAM, 0);
    return bind($probe, $name) ? 1 : 0;
}

# The processes of pods by the pod's uid, as their control groups tell (systemd writes _ for -).
sub processes_of_pods {
    my %found;
    for my $file (glob "/proc/[0-9]*/cgroup") {
        open my $groups, "<", $file or next;
        while (<$groups>) {
            next unless /pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})/;
            (my $uid = $1) =~ tr/_/-/;
            my ($process) = $file =~ /(\d+)/;
            $found{$uid} ||= "/proc/$process/ns/net";
            last;
        }
        close $groups;
    }
    return \%found;
}

# Where a pod's sockets are made: the namespace that has its address. First the one of its own processes, then those that
# the runtime has by name. What is not found keeps no namespace.
sub find_places {
    my ($home) = @_;
    my $processes = (grep { $_->{uid} ne "-" } values %place) ? processes_of_pods() : {};
    my @named = map { opened($_) } glob "/run/netns/*";
    for my $one (values %place) {
        if ($one->{uid} eq "-") { $one->{namespace} = $home; next }
        my $process = $processes->{ $one->{uid} };
        for my $candidate (grep { defined } $process ? opened($process) : undef, @named) {
            next unless enter($candidate) && is_here($one->{address});
            $one->{namespace} = $candidate;
            last;
        }
    }
    return;
}

# Tell this machine the ways that it needs; the words of a complaint, or nothing.
sub add_routes {
    return "" if !@_;
    open my $ip, "|-", "ip", "-batch", "-" or return "ip: $!";
    print {$ip} "route replace $_\n" for @_;
    close $ip;
    return $? ? "ip ended with status " . ($? >> 8) : "";
}

# --- one attempt

sub checksum {
    my ($data) = @_;
    my $sum = 0;
    $sum += $_ for unpack "n*", length($data) % 2 ? "$data\0" : $data;
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    return ~$sum & 0xffff;
}

sub echo_request {
    my ($six, $number, $text) = @_;
    my $type = $six ? 128 : 8;
    my $sum = $six ? 0 : checksum(pack "CCnnna*", $type, 0, 0, $number, 1, $text);    # for IPv6 the kernel fills it in
    return pack "CCnnna*", $type, 0, $sum, $number, 1, $text;
}

sub is_reply {
    my ($task, $data) = @_;
    my $six = $task->{domain} == AF_INET6;
    $data = substr $data, 4 * (ord($data) & 15) if !$six && length $data;
    return 0 if length $data < 8;
    my ($type, $code, $sum, $number, $sequence) = unpack "CCnnn", $data;
    return $type == ($six ? 129 : 0) && $number == $task->{number} && substr($data, 8) eq $task->{questions}[0];
}

# Open the socket, in the namespace that we are in; 0 when there is no descriptor for it now.
sub open_socket {
    my ($task) = @_;
    my ($type, $protocol) = @{ $KIND{ $task->{protocol} } };
    $protocol = 58 if $protocol == 1 && $task->{domain} == AF_INET6;
    my $socket;
    if (!socket $socket, $task->{domain}, $type | $NONBLOCK | $CLOEXEC, $protocol) {
        return 0 if $FULL{ $! + 0 } && %open;
        report($task, "cannot", $! + 0);
        return 1;
    }
    $task->{socket} = $socket;
    # A fresh port for each datagram: connection tracking would take one that was used minutes ago for the old,
    # allowed exchange. The same for the identifier of an echo request.
    my $ports = $type == SOCK_DGRAM ? 20 : 0;
    while ($ports-- > 0) {
        my $any = $task->{domain} == AF_INET6 ? "::" : "0.0.0.0";
        last if bind $socket, name_of($any, $PORTS_FROM + $cursor++ % $PORTS);
    }
    $task->{number} = $cursor++ & 0xffff if $type == SOCK_RAW;
    return 1;
}

sub begin {
    my ($task) = @_;
    my $socket = $task->{socket};
    my $now = now();
    $task->{began} ||= $now;
    $task->{tries}++;
    @{$task}{qw(asked answers reached)} = (0, [], 0);
    my $stream = $task->{protocol} eq "TCP" || $task->{protocol} eq "SCTP";
    my $port = $task->{protocol} eq "ICMP" ? 0 : $task->{port};
    my $failed = connect($socket, name_of($task->{address}, $port)) ? 0 : $! + 0;
    # An ICMP error that came while connect still held the socket is kept as a soft error.
    $failed = unpack "i", getsockopt $socket, SOL_SOCKET, SO_ERROR if $NOT_YET{$failed} || !$failed;
    if (!$failed && !$stream) {
        # Be told of every ICMP error; after connect, else a raw socket would be told of everybody's.
        my ($level, $option) = $task->{domain} == AF_INET6 ? ($SOL_IPV6, $IPV6_RECVERR) : ($SOL_IP, $IP_RECVERR);
        setsockopt $socket, $level, $option, 1;
        $failed = ask($task);
    }
    if ($failed && !$SILENT{$failed} && !$NOT_YET{$failed}) {
        finish($task, "failed", $failed);
        return;
    }
    $open{ fileno $socket } = $task;
    wait_for($task, $limit{ $task->{protocol} eq "UDP" ? "answer" : "connect" });
    return;
}

sub wait_for {
    my ($task, $milliseconds) = @_;
    $task->{deadline} = $clock + (now() - $ticked) + $milliseconds;
    return;
}

# Send the next question; an error number, or 0.
sub ask {
    my ($task) = @_;
    my $data = $task->{questions}[ scalar @{ $task->{answers} } ];
    $data = echo_request($task->{domain} == AF_INET6, $task->{number}, $data) if $task->{protocol} eq "ICMP";
    $task->{asked} = 1;
    return defined send($task->{socket}, $data, 0x4000) ? 0 : $! + 0;    # MSG_NOSIGNAL
}

sub ready {
    my ($task) = @_;
    my $stream = $task->{protocol} eq "TCP" || $task->{protocol} eq "SCTP";
    if ($stream && !$task->{reached}) {
        my $failed = unpack "i", getsockopt $task->{socket}, SOL_SOCKET, SO_ERROR;
        return $SILENT{$failed} ? silent($task) : finish($task, "failed", $failed) if $failed;
        $task->{reached} = 1;
        $failed = ask($task);
        return finish($task, "reached", $failed) if $failed && !$NOT_YET{$failed};
        wait_for($task, $task->{patience});
        return;
    }
    my $data = "";
    if (!defined recv $task->{socket}, $data, 65535, 0) {
        my $failed = $! + 0;
        return if $NOT_YET{$failed} || (!$task->{reached} && $SILENT{$failed});
        return finish($task, $task->{reached} ? "reached" : "failed", $failed);
    }
    if ($stream) {
        return finish($task, "answer", 0) if !length $data;
        $task->{answers}[0] .= $data;
        my $enough = length $task->{answers}[0] >= $limit{bytes} || index($task->{answers}[0], $task->{nonce}) >= 0;
        return $enough ? finish($task, "answer", 0) : ();
    }
    return if $task->{protocol} eq "ICMP" && !is_reply($task, $data);    # a raw socket hears everything
    $task->{reached} = 1;
    push @{ $task->{answers} }, $data;
    return finish($task, "answer", 0) if @{ $task->{answers} } == @{ $task->{questions} };
    my $failed = ask($task);
    return finish($task, "reached", $failed) if $failed && !$NOT_YET{$failed};
    wait_for($task, $limit{answer});
    return;
}

sub silent {
    my ($task) = @_;
    if ($task->{reached}) { return finish($task, "reached", 0) }
    if ($task->{tries} >= $limit{tries}) { return finish($task, "silent", 0) }
    let_go($task);
    push @waiting, $task;
    return;
}

sub let_go {
    my ($task) = @_;
    delete $open{ fileno $task->{socket} };
    # Reset what was connected: nothing is left to wait for its death, so that ports never run out.
    setsockopt $task->{socket}, SOL_SOCKET, SO_LINGER, pack "ii", 1, 0 if $task->{reached};
    close delete $task->{socket};
    return;
}

sub finish {
    my ($task, $word, $failed) = @_;
    let_go($task);
    report($task, $word, $failed);
    return;
}

sub report {
    my ($task, $word, $failed) = @_;
    my @answers = map { substr $_, 0, $limit{bytes} } @{ $task->{answers} || [] };
    my $took = $task->{began} ? now() - $task->{began} : 0;
    my $name = $failed ? $NAME{$failed} || "E$failed" : "-";
    say_line("R", $task->{index}, $word, $name, int($took * 1000), hexed(@answers) || "-");
    return;
}

# --- the pace
#
# Linux tells one peer of six closed UDP ports at once and then of one a second, and all peers together of fifty and
# then a thousand a second (icmp_ratelimit, icmp_msgs_per_sec): asked faster, closed ports would look like denied ones.

my (%bucket, $held_until);

sub tokens {    # those of a bucket that fills by time, as [count, when]
    my ($name, $size, $rate) = @_;
    my $now = now();
    my ($count, $filled) = @{ $bucket{$name} || [$size, $now] };
    $count += ($now - $filled) * $rate;
    return $bucket{$name} = [$count > $size ? $size : $count, $now];
}

sub may_start {
    my ($task) = @_;
    return 1 if !$task->{paced};
    my @needed = (tokens("all", 20, 0.4), tokens("$task->{place} $task->{address}", 5, 0.001));
    return 0 if grep { $_->[0] < 1 } @needed;
    $_->[0]-- for @needed;
    return 1;
}

sub release_held {
    my $now = now();
    return if !@held || $now < $held_until;
    push @waiting, splice @held;
    return;
}

# --- the loop

sub start_some {
    my $free = $window - keys %open;
    $free = 64 if $free > 64;    # in slices, so that those that run are heard in between
    while ($free-- > 0 && @waiting) {
        my $task = shift @waiting;
        if (!may_start($task)) { push @held, $task; $held_until = now() + 50; next }
        my $namespace = $place{ $task->{place} }{namespace};
        if (!defined $namespace) { report($task, "nowhere", 0); next }
        if (!enter($namespace)) { report($task, "nowhere", $! + 0); next }
        if (!open_socket($task)) {
            $window = keys(%open) > 1 ? int(keys(%open) / 2) : 1;
            unshift @waiting, $task;
            return;
        }
        begin($task) if $task->{socket};
    }
    return;
}

sub tick {
    my $now = now();
    my $passed = $now - $ticked;
    $clock += $passed > $LONGEST_TICK ? $LONGEST_TICK : $passed;
    $ticked = $now;
    return;
}

sub listen_once {
    my ($seconds) = @_;
    my ($read, $write) = ("", "");
    for my $number (keys %open) {
        my $task = $open{$number};
        my $connecting = !$task->{asked};
        vec($read, $number, 1) = 1 unless $connecting;
        vec($write, $number, 1) = 1 if $connecting;
    }
    my ($can_read, $can_write) = ($read, $write);
    return if select($can_read, $can_write, undef, $seconds) <= 0;
    for my $number (keys %open) {
        my $task = $open{$number} or next;
        ready($task) if vec($can_read, $number, 1) || vec($can_write, $number, 1);
    }
    return;
}

sub main {
    my @routes;
    while (defined(my $line = <STDIN>)) {
        chomp $line;
        my ($word, @fields) = split / /, $line;
        last if $word eq "E";
        if ($word eq "L") { @limit{qw(connect answer tries bytes cursor)} = @fields }
        if ($word eq "G") { push @routes, join " ", @fields }
        if ($word eq "S") { @{ $place{ $fields[0] } }{qw(uid address)} = @fields[1, 2] }
        if ($word eq "P") {
            my %task;
            @task{qw(index place protocol address port patience paced nonce)} = @fields[0 .. 7];
            $task{questions} = [map { $_ eq "-" ? "" : pack "H*", $_ } split /,/, $fields[8]];
            $task{domain} = domain($task{address});
            push @waiting, \%task;
        }
    }
    if (!$SETNS) { say_line("X", "architecture", hexed($MACHINE)); return }
    my $home = opened("/proc/self/ns/net");
    if (!$home) { say_line("X", "namespace", hexed("$!")); return }
    $here = $home;
    my $complaint = add_routes(@routes);
    if ($complaint) { say_line("X", "routes", hexed($complaint)); return }
    $cursor = $limit{cursor};
    my $descriptors = POSIX::sysconf(POSIX::_SC_OPEN_MAX()) || 256;
    $window = $descriptors > 1064 ? 1000 : $descriptors - 64;
    my $all = @waiting;
    find_places($home);
    @waiting = sort { $a->{place} <=> $b->{place} || $a->{index} <=> $b->{index} } @waiting;
    ($clock, $ticked) = (0, now());
    while (@waiting || @held || %open) {
        release_held();
        start_some() if @waiting;
        tick();
        my $busy = @waiting && keys(%open) < $window;
        listen_once($busy ? 0 : 0.01);
        tick();
        my @due = grep { $_->{deadline} <= $clock } values %open;
        listen_once(0) if @due;    # what has come meanwhile is heard before silence is declared
        for my $task (@due) {
            silent($task) if $task->{socket} && $task->{deadline} <= $clock;
        }
    }
    say_line("E", $all);
    return;
}

main();
