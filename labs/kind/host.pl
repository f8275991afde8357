# An outside host: answers HTTP on ports 80 and 443 as agnhost's netexec does (/hostname, /clientip, /echo?msg=). The
# argument is its name. It needs nothing but perl-base, and is the container's first process.
use strict;
use warnings;
use Errno ();
use Socket qw(:DEFAULT inet_ntop unpack_sockaddr_in6 pack_sockaddr_in6);

my ($NAME) = @ARGV;
my ($NONBLOCK, $LONGEST, $MOST) = (0x800, 8192, 1000);
my (%listeners, %clients);

sub listener {
    my ($port) = @_;
    my ($socket, $name);
    if (socket $socket, AF_INET6, SOCK_STREAM | $NONBLOCK, 0) {
        setsockopt $socket, 41, 26, pack "i", 0;    # IPV6_V6ONLY: one socket for both families
        $name = pack_sockaddr_in6($port, "\0" x 16);
    } else {
        socket $socket, AF_INET, SOCK_STREAM | $NONBLOCK, 0 or die "socket: $!\n";
        $name = pack_sockaddr_in($port, INADDR_ANY);
    }
    setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, pack "i", 1;
    bind $socket, $name or die "bind to port $port: $!\n";
    listen $socket, 1024 or die "listen: $!\n";
    return $socket;
}

sub who {    # address and port as netexec writes them
    my ($packed) = @_;
    my $six = sockaddr_family($packed) == AF_INET6;
    my ($port, $raw) = $six ? unpack_sockaddr_in6($packed) : unpack_sockaddr_in($packed);
    my $address = inet_ntop($six ? AF_INET6 : AF_INET, $raw);
    $address =~ s/^::ffff:(?=[0-9.]+$)//;
    return $address =~ /:/ ? "[$address]:$port" : "$address:$port";
}

sub answer {
    my ($client, $target) = @_;
    return $NAME if $target =~ m{^/host[nN]ame$};
    return $client->{who} if $target eq "/clientip";
    return $1 if $target =~ m{^/echo\?msg=([\w.~-]*)$};
    return "NOW: $NAME";
}

sub serve {
    my ($client) = @_;
    my $data = "";
    my $read = sysread $client->{socket}, $data, $LONGEST;
    if (!defined $read) { return $! == Errno::EAGAIN() || $! == Errno::EINTR() }
    $client->{text} .= $data;
    return 0 if !$read || length $client->{text} > $LONGEST;
    while ($client->{text} =~ s/\A(.*?)\r?\n\r?\n//s) {
        my ($target) = $1 =~ m{\A(?:GET|HEAD|POST) (\S+) HTTP/1\.[01]};
        my $last = !defined $target || $1 =~ /^connection:\s*close/im;
        my $body = defined $target ? answer($client, $target) : "400 Bad Request";
        my $status = defined $target ? "200 OK" : "400 Bad Request";
        my $length = length $body;
        syswrite $client->{socket}, "HTTP/1.1 $status\r\nContent-Type: text/plain\r\nContent-Length: $length\r\n\r\n$body";
        return 0 if $last;
    }
    return 1;
}

$SIG{PIPE} = "IGNORE";
$SIG{TERM} = sub { exit 0 };    # the first process of a container has no default
for my $port (80, 443) { my $socket = listener($port); $listeners{ fileno $socket } = $socket }
$| = 1;
print "$NAME listens\n";
while (1) {
    my $wanted = "";
    vec($wanted, $_, 1) = 1 for keys %listeners, keys %clients;
    my $ready = $wanted;
    next if select($ready, undef, undef, undef) <= 0;
    for my $number (keys %clients) {
        next unless vec $ready, $number, 1;
        my $client = $clients{$number};
        if (!serve($client)) { delete $clients{$number}; close $client->{socket} }
    }
    for my $number (keys %listeners) {
        next unless vec $ready, $number, 1;
        while (my $peer = accept my $socket, $listeners{$number}) {
            if (keys %clients >= $MOST) { close $socket; next }
            fcntl $socket, 4, $NONBLOCK;    # F_SETFL, O_NONBLOCK
            $clients{ fileno $socket } = { socket => $socket, who => who($peer), text => "" };
        }
    }
}
