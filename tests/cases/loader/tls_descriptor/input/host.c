int plug(int call);

int main(int count, char **arguments)
{
	(void)arguments;
	return plug(count > 1);
}
