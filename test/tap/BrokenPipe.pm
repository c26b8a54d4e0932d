# A psql that cannot connect may end before it has read its input. IPC::Run then dies of the broken pipe, and with it a test
# whose server is just recovering. Here that is a failed connection like any other: psql's status is 2, a poll goes on.
package BrokenPipe;

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;

no warnings 'redefine';
my ($psql, $poll) = (\&PostgreSQL::Test::Cluster::psql, \&PostgreSQL::Test::Cluster::poll_query_until);

*PostgreSQL::Test::Cluster::psql = sub {
	my ($node, $database, $sql, %options) = @_;
	my @result = wantarray ? eval { $psql->($node, $database, $sql, %options) } : scalar(eval { $psql->($node, $database, $sql, %options) });
	return wantarray ? @result : $result[0] if $@ eq '';
	die $@ if $@ !~ /^(ack )?Broken pipe: write/ || $options{on_error_die};
	my $message = 'psql ended before it had read its input';
	${ $options{stdout} } = '' if $options{stdout};
	${ $options{stderr} } = $message if $options{stderr};
	return wantarray ? (2, '', $message) : 2;
};

*PostgreSQL::Test::Cluster::poll_query_until = sub {
	my @arguments = @_;
	foreach (1 .. 100)
	{
		my $result = eval { $poll->(@arguments) };
		return $result if $@ eq '';
		last if $@ !~ /^(ack )?Broken pipe: write/;
	}
	die $@;
};

1;
