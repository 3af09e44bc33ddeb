-- The role and the database of Commonplace, made once by the superuser of the container.
\getenv password COMMONPLACE_PASSWORD
CREATE ROLE commonplace LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE commonplace OWNER commonplace;
REVOKE CONNECT ON DATABASE commonplace, postgres, template1 FROM PUBLIC;
