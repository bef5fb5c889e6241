PROPERTIES: tuple = ()
