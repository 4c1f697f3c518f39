int data = 1;
